"""The OpenAPI document of all services, which is shipped with core's function."""

import json
import re
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from infra.bundle.target import ROOT
from infra.core.examples import with_examples
from infra.names import REGION
from infra.profile import LOCAL, PROFILES
from services.core.openapi_document import api as openapi_document
from services.core.service import API
from shared.declaration import Function, Service
from shared.http.app import HttpApp
from shared.http.openapi import document

PATH = openapi_document.FILE.relative_to(ROOT).as_posix()
"""The path in the bundle of core's function, which reads it there."""

_SCHEMA_NAMES = {
    "ExportFormat": "UsageExportFormat",
    "ExportStatus": "UsageExportStatus",
    "GroupBy": "UsageGroupBy",
    "LimitedBy": "RunLimit",
    "Status": "RunStatus",
}
"""Names in the document of classes whose own name is short, because their module gives the context."""
_CORE = {"name": "core", "description": "Health, and the OpenAPI document."}
_DESCRIPTION = """The backend of an AI Lab: agents, their runs, usage and costs.

Send a Cognito **id token** or an **API key** as a bearer. Paths contain the tenant, which must be the caller's own,
except for `platform_admin`. All errors have the same schema. Lists take `limit` and `next_token`.
A `traceparent` header sets the trace id.
"""


def openapi_json(services: Sequence[Service]) -> bytes:
    """Return the document as core's function contains it."""
    return json.dumps(openapi(services), sort_keys=True).encode()


def openapi(services: Sequence[Service], *, with_twins: bool = False) -> dict[str, Any]:
    """Return the document of core and of all functions that have routes.

    Args:
        services: the services.
        with_twins: whether to include the second method of routes that have a PUT and a PATCH with one handler.
    """
    functions = [API, *(function for service in services for function in service.functions if function.routes)]
    apps = [app for function in functions for app in applications(function)]
    description = _renamed(document(apps, with_twins=with_twins))
    description["info"] |= {
        "description": _DESCRIPTION,
        "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
    }
    description["servers"] = _servers()
    description["tags"] = [_CORE, *({"name": one.name, "description": one.purpose} for one in services)]
    _tag(description["paths"], services)
    return with_examples(description)


def _renamed(description: dict[str, Any]) -> dict[str, Any]:
    """Return the document with the names of `_SCHEMA_NAMES`."""
    schemas = description["components"]["schemas"]
    named = {_SCHEMA_NAMES.get(name, name): schema for name, schema in schemas.items()}
    description["components"]["schemas"] = dict(sorted(named.items()))
    pattern = re.compile(rf'"#/components/schemas/({"|".join(_SCHEMA_NAMES)})"')
    text = pattern.sub(lambda found: f'"#/components/schemas/{_SCHEMA_NAMES[found[1]]}"', json.dumps(description))
    return json.loads(text)


def _servers() -> list[dict[str, Any]]:
    api = {"description": "The id of the REST API; `ainexus outputs ApiEndpoint` prints the full URL."}
    on_aws = [name for name in PROFILES if name != LOCAL.environment]
    return [
        {
            "url": "https://{api}.execute-api.{region}.amazonaws.com/{environment}",
            "description": "A deployment on AWS.",
            "variables": {
                "api": {"default": "abc123", **api},
                "region": {"default": REGION, "description": "The AWS region."},
                "environment": {"default": on_aws[0], "enum": on_aws, "description": "The environment."},
            },
        },
        {
            "url": "http://localhost:{port}/_aws/execute-api/{api}/local",
            "description": "The mesh on this machine.",
            "variables": {
                "port": {"default": "4566", "description": "The port of the local engine (`AINEXUS_PORT`)."},
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
    """Return the application of a function that has routes."""
    module, _, name = function.handler.rpartition(".")
    handler = getattr(import_module(module), name)
    return [handler] if isinstance(handler, HttpApp) else []
