"""The OpenAPI document that is shipped with core's function: of all services together."""

import json
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from infra.core.examples import with_examples
from infra.core.functions import API
from infra.core.words import describe
from infra.names import REGION
from infra.profile import LOCAL, PROFILES
from shared.declaration import Function, Service
from shared.http.app import HttpApp
from shared.http.openapi import document

PATH = "infra/core/openapi.json"
"""Where core's function looks for it."""

_CORE = {"name": "core", "description": "Whether the mesh answers, and what it can be asked."}
_DESCRIPTION = """The backend of an AI Lab: agents, their runs, what they use and what that costs.

Send the Cognito **id token** as a bearer. Paths carry the tenant, which must be the token's own, but for
`platform_admin`. Every error has one shape. Lists take `limit` and `next_token`. A `traceparent` header is continued.
"""


def openapi_json(services: Sequence[Service]) -> bytes:
    """The document as core's function has it."""
    return json.dumps(openapi(services), sort_keys=True).encode()


def openapi(services: Sequence[Service]) -> dict[str, Any]:
    """The document of core and of all functions that have routes."""
    functions = [API, *(function for service in services for function in service.functions if function.routes)]
    said = document(app for function in functions for app in applications(function))
    said["info"] |= {
        "description": _DESCRIPTION,
        "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
    }
    said["servers"] = _servers()
    said["tags"] = [_CORE, *({"name": one.name, "description": one.purpose} for one in services)]
    _tag(said["paths"], services)
    describe(said["components"]["schemas"])
    return with_examples(said)


def _servers() -> list[dict[str, Any]]:
    api = {"description": "The id of the REST API; `ainexus outputs ApiEndpoint` prints the whole address."}
    on_aws = [name for name in PROFILES if name != LOCAL.environment]
    return [
        {
            "url": "https://{api}.execute-api.{region}.amazonaws.com/{environment}",
            "description": "A deployment on AWS.",
            "variables": {
                "api": {"default": "abc123", **api},
                "region": {"default": REGION, "description": "Where it is deployed."},
                "environment": {"default": on_aws[0], "enum": on_aws, "description": "The stage."},
            },
        },
        {
            "url": "http://localhost:{port}/_aws/execute-api/{api}/local",
            "description": "The mesh on this machine.",
            "variables": {
                "port": {"default": "4566", "description": "`AINEXUS_PORT`."},
                "api": {"default": str(LOCAL.api_id), **api},
            },
        },
    ]


def _tag(paths: dict[str, Any], services: Sequence[Service]) -> None:
    owners = {(route.method, route.path): service.name for service in services for route in service.routes}
    for path, operations in paths.items():
        for method, operation in operations.items():
            operation["tags"] = [owners.get((method.upper(), path), "core")]


def applications(function: Function) -> list[HttpApp]:
    """The application of a function that has routes."""
    module, _, name = function.handler.rpartition(".")
    handler = getattr(import_module(module), name)
    return [handler] if isinstance(handler, HttpApp) else []
