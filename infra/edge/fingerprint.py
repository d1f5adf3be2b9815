"""The fingerprint of the API. When it changes, the API is deployed again."""

import hashlib
import json
from dataclasses import asdict

from infra.core.authorizer import CACHE_S, IDENTITY_HEADER
from infra.core.refusals import REFUSALS
from infra.mesh import Mesh
from infra.route import CORS_HEADERS, CORS_METHODS, SKELETON
from services.core.service import API
from shared.declaration import Function
from shared.http.app import EXPOSED_HEADERS


def fingerprint(mesh: Mesh) -> str:
    """Hash all routes, the gateway's own responses and the settings of its authorizer to twelve hex digits."""
    names = mesh.names
    functions = {names.api: API} | {
        names.function(service, function): function for service in mesh.services for function in service.functions
    }
    seen = {
        "routes": sorted(route for name, function in functions.items() for route in _routes(name, function)),
        "skeleton": SKELETON,
        "refusals": [asdict(refusal) for refusal in REFUSALS],
        "cors": [
            mesh.profile.preflight_origins or mesh.profile.cors_origins,
            CORS_METHODS,
            CORS_HEADERS,
            EXPOSED_HEADERS,
        ],
        "authorizer": [names.authorizer, IDENTITY_HEADER, CACHE_S],
    }
    return hashlib.sha256(json.dumps(seen, sort_keys=True).encode()).hexdigest()[:12]


def _routes(name: str, function: Function) -> list[tuple[str, str, bool, str]]:
    return [(route.path, route.method, route.min_role is None, name) for route in function.routes]
