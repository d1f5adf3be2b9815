"""The OpenAPI document of the whole mesh, put together from what each service's application says of its routes."""

import re
from collections.abc import Iterable, Iterator
from typing import Any, cast

from pydantic import BaseModel

from shared.declaration import Route
from shared.http.app import JSON, HttpApp
from shared.http.errors import ErrorBody
from shared.http.failures import FAILURES, codes, examples_of
from shared.ids import TENANT_ID

VERSION = "1.0.0"
_REFERENCE = "#/components/schemas/{model}"
_CONDITIONAL = frozenset({"PUT", "PATCH", "DELETE"})
_WAITED = {201, 202}
"""A route that answers with both can be waited for."""
_GENERIC = ("HTTPValidationError", "ResponseValidationError", "ValidationError")
_NO_WORDS, _AS_IT_IS = {"title", "ge", "le"}, {"example", "examples", "default", "const", "enum"}
_NAMES = frozenset({"properties", "headers"})
"""What lies below these is named by us, so that a word there is none of JSON Schema's."""
_EVENT_STREAM = "text/event-stream"
_SERVER_SENT_EVENT: dict[str, Any] = {
    "type": "object",
    "description": "One event of the stream.",
    "required": ["id", "event", "data"],
    "properties": {
        "id": {"type": "string", "description": "For `Last-Event-ID`."},
        "event": {"type": "string"},
        "data": {"type": "string", "description": "JSON."},
        "retry": {"description": "Milliseconds after which to ask again."},
    },
}
_ID_TOKEN = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "JWT",
    "description": "The id token of the user pool; an access token is refused.",
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
    "Preference-Applied": {"description": "The wait that was granted, `wait=25`.", "schema": {"type": "string"}},
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
    "Prefer": {
        "name": "Prefer",
        "in": "header",
        "description": "`wait=N`: answer when it is done, or after N seconds; more than 25 means 25.",
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
    _merge(schemas, {"Error": _error_schema()})
    for app in apps:
        part = _part(app)
        _merge(schemas, part.get("components", {}).get("schemas", {}))
        for path, operations in part["paths"].items():
            paths.setdefault(path, {}).update(
                {method: _operation(app, path, method, said) for method, said in operations.items()}
            )
        _merge(schemas, {name: schema for model in app.queries.values() for name, schema in _query(model)[1].items()})
        # Parameters say what they hold; and what the resolver would answer is not what we answer.
        for name in (*_GENERIC, *(model.__name__ for model in app.queries.values())):
            schemas.pop(name, None)
    return {
        "openapi": "3.1.0",
        "info": {"title": "ainexus", "version": VERSION},
        "paths": _plain(dict(sorted(paths.items())), names=True),
        "components": {
            "schemas": _plain(dict(sorted(schemas.items())), names=True),
            "parameters": _PARAMETERS,
            "headers": _HEADERS,
            "responses": {status: _error(status, text) for status, (text, _) in FAILURES.items()},
            "securitySchemes": {"idToken": _ID_TOKEN},
        },
    }


def _plain(node: Any, *, names: bool = False) -> Any:  # noqa: ANN401 — any JSON
    """Without the titles that only repeat a name, and the bounds that JSON Schema has no word for."""
    match node:
        case dict():
            fields = cast("dict[str, Any]", node).items()
            left_out = set[str]() if names else _NO_WORDS
            return {
                key: value if key in _AS_IT_IS else _plain(value, names=key in _NAMES)
                for key, value in fields
                if key not in left_out
            }
        case list():
            return [_plain(one) for one in cast("list[Any]", node)]
        case _:
            return node


def _error_schema() -> dict[str, Any]:
    schema = ErrorBody.model_json_schema(ref_template=_REFERENCE)
    schema["properties"]["error"]["enum"] = codes()
    return schema


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
    statuses = app.statuses[(route.method, path)]
    waits = {*statuses} >= _WAITED
    said["parameters"] = [
        *_path_parameters(path, said.get("parameters", [])),
        *(_query(query)[0] if query else []),
        *(one for one in said.get("parameters", ()) if one["in"] == "header"),
        *([_parameter("IdempotencyKey")] if replays else []),
        *([_parameter("Prefer")] if waits else []),
        *([_parameter("IfMatch")] if route.method in _CONDITIONAL else []),
    ]
    content = said["responses"].pop("200").get("content", {})
    media_type = app.media_types[(route.method, path)]
    if media_type != JSON:
        content = {media_type: {"schema": _SERVER_SENT_EVENT if media_type == _EVENT_STREAM else {"type": "string"}}}
    said["responses"] = {str(status): _success(status, content, replays=replays, waits=waits) for status in statuses}
    said["responses"] |= {
        status: {"$ref": f"#/components/responses/{status}"} for status in FAILURES if _may_answer(route, status)
    }
    said["operationId"] = _operation_id(said["operationId"], route, is_twin=_is_twin(app, route))
    summary, _, more = said["summary"].partition("\n")
    said["summary"] = summary.rstrip(".")
    said["description"] = "\n\n".join(part for part in (summary, more.strip(), *_asks(route, replays=replays)) if part)
    said["security"] = [] if route.least is None else [{"idToken": []}]
    said["x-least-role"] = route.least.value if route.least else None
    said["x-feature"] = route.feature.value if route.feature else None
    return said


def _operation_id(said: str, route: Route, *, is_twin: bool) -> str:
    """The handler's name, which a generated client gives its method; a PATCH that is a PUT's twin needs its own."""
    place = re.sub(r"\W", "_", route.path)
    name = said.removesuffix(f"{place}_{route.method.lower()}")
    return f"{name}_by_patch" if is_twin else name


def _is_twin(app: HttpApp, route: Route) -> bool:
    return route.method == "PATCH" and any((one.method, one.path) == ("PUT", route.path) for one in app.routes)


def _asks(route: Route, *, replays: bool) -> Iterator[str]:
    """What the route asks of the caller, in sentences."""
    if route.least is None:
        yield "No token is asked for."
    else:
        yield f"Least role: `{route.least}`."
    if route.feature:
        yield f"The tenant and the token need the feature `{route.feature}`."
    if replays:
        yield "With an `Idempotency-Key`, the same request is done once."
    if route.method in _CONDITIONAL:
        yield "With `If-Match`, only the version that was read is changed."


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


def _success(status: int, content: dict[str, Any], *, replays: bool, waits: bool) -> dict[str, Any]:
    names = ["X-Request-Id"]
    names += ["ETag"] if status in {200, 201} else []
    names += ["Location"] if status in {201, 202} else []
    names += ["Idempotent-Replayed"] if replays else []
    names += ["Preference-Applied"] if waits else []
    answer = {"description": _SUCCESSES[status], "headers": {name: _header(name) for name in names}}
    return answer if status == 204 else {**answer, "content": content}


def _error(status: str, text: str) -> dict[str, Any]:
    names = ["X-Request-Id", *(["Retry-After"] if status in {"429", "503"} else [])]
    return {
        "description": text,
        "headers": {name: _header(name) for name in names},
        "content": {
            "application/json": {
                "schema": {"$ref": _REFERENCE.format(model="Error")},
                "examples": examples_of(status),
            }
        },
    }


def _header(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/headers/{name}"}


def _parameter(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/parameters/{name}"}
