"""The OpenAPI document of the whole mesh, put together from what each service's application says of its routes."""

import re
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel

from shared.declaration import Route
from shared.http.app import JSON, HttpApp
from shared.http.errors import ErrorBody
from shared.ids import TENANT_ID

VERSION = "1.0.0"
_REFERENCE = "#/components/schemas/{model}"
_CONDITIONAL = frozenset({"PUT", "PATCH", "DELETE"})
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
_SUCCESSES = {
    200: "The answer.",
    201: "Created.",
    202: "Accepted; it will be done.",
    204: "Done; there is nothing to say.",
}
_HEADERS: dict[str, dict[str, Any]] = {
    "X-Request-Id": {"description": "The request's id, as in the body.", "schema": {"type": "string"}},
    "ETag": {"description": "The version of the resource, for `If-Match`.", "schema": {"type": "string"}},
    "Location": {"description": "The path of the resource.", "required": True, "schema": {"type": "string"}},
    "Idempotent-Replayed": {
        "description": "The request was carried out before.",
        "schema": {"type": "string", "const": "true"},
    },
    "Retry-After": {"description": "Seconds to wait, at most 60.", "schema": {"type": "string", "pattern": "^[0-9]+$"}},
}
_PARAMETERS: dict[str, dict[str, Any]] = {
    "IdempotencyKey": {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "The same request with the same key is done once, for 24 h.",
        "required": False,
        "schema": {"type": "string"},
    },
    "IfMatch": {
        "name": "If-Match",
        "in": "header",
        "description": "The `ETag` of the version that is to be changed.",
        "required": False,
        "schema": {"type": "string"},
    },
    "tenant_id": {
        "name": "tenant_id",
        "in": "path",
        "required": True,
        "schema": {"type": "string", "pattern": f"^{TENANT_ID.pattern}$"},
    },
}


def document(apps: Iterable[HttpApp]) -> dict[str, Any]:
    """OpenAPI 3.1: every path of these applications, with the errors in their one shape."""
    paths: dict[str, Any] = {}
    schemas: dict[str, Any] = {}
    _merge(schemas, {"Error": ErrorBody.model_json_schema(ref_template=_REFERENCE)})
    for app in apps:
        part = _part(app)
        _merge(schemas, part.get("components", {}).get("schemas", {}))
        for path, operations in part["paths"].items():
            paths.setdefault(path, {}).update(
                {method: _operation(app, path, method, said) for method, said in operations.items()}
            )
        _merge(schemas, {name: schema for model in app.queries.values() for name, schema in _query(model)[1].items()})
    for generic in ("HTTPValidationError", "ResponseValidationError", "ValidationError"):
        schemas.pop(generic, None)
    return {
        "openapi": "3.1.0",
        "info": {"title": "ainexus", "version": VERSION},
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "parameters": _PARAMETERS,
            "headers": _HEADERS,
            "responses": {status: _error(status, text) for status, text in _ERRORS.items()},
            "securitySchemes": {"idToken": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }


def _merge(schemas: dict[str, Any], more: dict[str, Any]) -> None:
    """Add schemas, which are named by their class: two services must not mean different things by one name."""
    for name, schema in more.items():
        inside = schema.pop("$defs", {})
        if schemas.setdefault(name, schema) != schema:
            msg = f"two services have different schemas of the name {name}"
            raise ValueError(msg)
        _merge(schemas, inside)


def _part(app: HttpApp) -> dict[str, Any]:
    schema = app.resolver.get_openapi_schema(title="ainexus", version=VERSION)
    return schema.model_dump(by_alias=True, exclude_none=True, mode="json")


def _operation(app: HttpApp, path: str, method: str, said: dict[str, Any]) -> dict[str, Any]:
    route = next(route for route in app.routes if route.path == path and route.method == method.upper())
    query = app.queries.get((route.method, path))
    replays = app.takes_idempotency_key(route)
    said["parameters"] = [
        *_path_parameters(path, said.get("parameters", [])),
        *(_query(query)[0] if query else []),
        *(one for one in said.get("parameters", ()) if one["in"] == "header"),
        *([_parameter("IdempotencyKey")] if replays else []),
        *([_parameter("IfMatch")] if route.method in _CONDITIONAL else []),
    ]
    content = said["responses"].pop("200").get("content", {})
    media_type = app.media_types[(route.method, path)]
    if media_type != JSON:
        content = {media_type: {"schema": {"type": "string"}}}
    said["responses"] = {
        str(status): _success(status, content, replays=replays) for status in app.statuses[(route.method, path)]
    }
    said["responses"] |= {
        status: {"$ref": f"#/components/responses/{status}"} for status in _ERRORS if _may_answer(route, status)
    }
    said["security"] = [] if route.least is None else [{"idToken": []}]
    said["x-least-role"] = route.least.value if route.least else None
    said["x-feature"] = route.feature.value if route.feature else None
    return said


def _path_parameters(path: str, said: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every name in the path; those that no handler asks for are texts."""
    known = {parameter["name"]: parameter for parameter in said if parameter["in"] == "path"}
    text = {"in": "path", "required": True, "schema": {"type": "string"}}
    return [
        _parameter(name) if name in _PARAMETERS else known.get(name, {"name": name, **text})
        for name in re.findall(r"{(\w+)}", path)
    ]


def _query(model: type[BaseModel]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The parameters that a query model stands for, and the schemas that they name."""
    schema = model.model_json_schema(ref_template=_REFERENCE)
    parameters = [
        {"name": name, "in": "query", "required": name in schema.get("required", ()), "schema": _without_null(said)}
        for name, said in schema["properties"].items()
    ]
    return parameters, schema.get("$defs", {})


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter that is not given is left out: it is never null."""
    kept = {name: value for name, value in schema.items() if (name, value) != ("default", None)}
    options = [option for option in kept.pop("anyOf", []) if option != {"type": "null"}]
    return {**kept, **options[0]} if len(options) == 1 else {**kept, **({"anyOf": options} if options else {})}


def _may_answer(route: Route, status: str) -> bool:
    """Whether this route can fail like that."""
    match status:
        case "401" | "403":
            return route.least is not None
        case "402":
            return route.least is not None and route.method != "GET"
        case "409":
            return route.method != "GET"
        case "412":
            return route.method in _CONDITIONAL
        case _:
            return True


def _success(status: int, content: dict[str, Any], *, replays: bool) -> dict[str, Any]:
    names = ["X-Request-Id"]
    names += ["ETag"] if status in {200, 201} else []
    names += ["Location"] if status in {201, 202} else []
    names += ["Idempotent-Replayed"] if replays else []
    answer = {"description": _SUCCESSES[status], "headers": {name: _header(name) for name in names}}
    return answer if status == 204 else {**answer, "content": content}


def _error(status: str, text: str) -> dict[str, Any]:
    names = ["X-Request-Id", *(["Retry-After"] if status == "503" else [])]
    return {
        "description": text,
        "headers": {name: _header(name) for name in names},
        "content": {"application/json": {"schema": {"$ref": _REFERENCE.format(model="Error")}}},
    }


def _header(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/headers/{name}"}


def _parameter(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/parameters/{name}"}
