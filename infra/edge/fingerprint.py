"""What the API's deployment is a picture of; when this changes, it must be taken again."""

import hashlib
import json
from dataclasses import asdict

from infra.core.functions import API
from infra.core.refusals import REFUSALS
from infra.mesh import Mesh
from infra.route import CORS_HEADERS, CORS_METHODS, SKELETON
from shared.declaration import Function
from shared.http.app import EXPOSED_HEADERS


def fingerprint(mesh: Mesh) -> str:
    """Twelve hex digits of all routes, the gateway's own answers and the settings of its authorizer."""
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
        "authorizer": names.user_pool,
    }
    return hashlib.sha256(json.dumps(seen, sort_keys=True).encode()).hexdigest()[:12]


def _routes(name: str, function: Function) -> list[tuple[str, str, bool, str]]:
    return [(route.path, route.method, route.least is None, name) for route in function.routes]
