"""The OpenAPI document of the whole mesh, put together from what each service's application says of its routes."""

import re
from collections.abc import Iterable
from typing import Any

from shared.http.app import JSON, HttpApp
from shared.http.errors import ErrorBody

VERSION = "1.0.0"
_NO_CONTENT = 204
_ERRORS = {
    "400": "The request cannot be read.",
    "401": "There is no valid id token.",
    "402": "The tenant is suspended until it has paid.",
    "403": "The role, a feature or the path does not allow it.",
    "404": "There is no such resource.",
    "409": "The state of the resource, or a limit that does not renew, does not allow it.",
    "412": "The resource has changed since it was read.",
    "413": "The body is over 1 MiB.",
    "422": "The request is not valid.",
    "429": "A limit of the plan is reached, or there are too many requests.",
    "500": "Something went wrong on our side.",
    "503": "Something that is needed does not answer.",
}


def document(apps: Iterable[HttpApp]) -> dict[str, Any]:
    """OpenAPI 3.1: every path of these applications, with the errors in their one shape."""
    paths: dict[str, Any] = {}
    schemas: dict[str, Any] = {"Error": ErrorBody.model_json_schema(ref_template="#/components/schemas/{model}")}
    schemas |= schemas["Error"].pop("$defs", {})
    for app in apps:
        part = _part(app)
        _merge(schemas, part.get("components", {}).get("schemas", {}))
        for path, operations in part["paths"].items():
            paths.setdefault(path, {}).update(
                {method: _operation(app, path, method, said) for method, said in operations.items()}
            )
    for generic in ("HTTPValidationError", "ValidationError"):
        schemas.pop(generic, None)
    return {
        "openapi": "3.1.0",
        "info": {"title": "ainexus", "version": VERSION},
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "securitySchemes": {"idToken": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }


def _merge(schemas: dict[str, Any], more: dict[str, Any]) -> None:
    """Add schemas, which are named by their class: two services must not mean different things by one name."""
    for name, schema in more.items():
        if schemas.setdefault(name, schema) != schema:
            msg = f"two services have different schemas of the name {name}"
            raise ValueError(msg)


def _part(app: HttpApp) -> dict[str, Any]:
    schema = app.resolver.get_openapi_schema(title="ainexus", version=VERSION)
    return schema.model_dump(by_alias=True, exclude_none=True, mode="json")


def _operation(app: HttpApp, path: str, method: str, said: dict[str, Any]) -> dict[str, Any]:
    route = next(route for route in app.routes if route.path == path and route.method == method.upper())
    named = {parameter["name"] for parameter in said.get("parameters", ()) if parameter["in"] == "path"}
    missing = [name for name in re.findall(r"{(\w+)}", path) if name not in named]
    said["parameters"] = [
        *({"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in missing),
        *said.get("parameters", ()),
    ]
    success = said["responses"].pop("200")
    media_type = app.media_types[(route.method, path)]
    if media_type != JSON:
        success["content"] = {media_type: {"schema": {"type": "string"}}}
    empty = {"description": success["description"]}
    statuses = app.statuses[(route.method, path)]
    said["responses"] = {str(status): empty if status == _NO_CONTENT else success for status in statuses}
    said["responses"] |= {status: _error_response(text) for status, text in _ERRORS.items()}
    said["security"] = [] if route.least is None else [{"idToken": []}]
    said["x-least-role"] = route.least.value if route.least else None
    said["x-feature"] = route.feature.value if route.feature else None
    return said


def _error_response(text: str) -> dict[str, Any]:
    return {"description": text, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}}
