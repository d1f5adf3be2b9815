"""The OpenAPI document of the whole mesh, generated from the routes of all services."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, cast

from pydantic import BaseModel, TypeAdapter

from shared.declaration import Route
from shared.http.app import HttpApp
from shared.http.endpoint import Endpoint
from shared.http.errors import ErrorBody
from shared.http.failures import FAILURES, codes, examples_of
from shared.http.middleware import MAX_IDEMPOTENCY_KEY_CHARS
from shared.http.request import JSON, MERGE_PATCH
from shared.ids import TENANT_ID
from shared.version import VERSION

_REFERENCE = "#/components/schemas/{model}"
_CONDITIONAL = frozenset({"PUT", "PATCH", "DELETE"})
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
_GENERIC = ("HTTPValidationError", "ResponseValidationError", "ValidationError")
_NO_WORDS, _AS_IT_IS = {"title", "ge", "le"}, {"example", "examples", "default", "const", "enum"}
_UNTOLD_DEFAULTS: tuple[object, ...] = (None, "", {}, [])
"""They are the same as an absent field."""
_NAMES = frozenset({"properties", "headers"})
"""The entries of these objects have names of our own, which are never keywords of JSON Schema."""
_UPDATES = frozenset({"PUT", "PATCH"})
_ID_TOKEN = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "JWT",
    "description": "The id token of the user pool; an access token is refused.",
}
_SUCCESSES = {
    200: "The request succeeded.",
    201: "The resource was created.",
    202: "The request was accepted and is processed in the background.",
    204: "The request succeeded. The response has no body.",
}
_HEADERS: dict[str, dict[str, Any]] = {
    "X-Request-Id": {"description": "The request's id, as in the body.", "schema": {"type": "string"}},
    "ETag": {"description": "The version of the resource, for `If-Match`.", "schema": {"type": "string"}},
    "Location": {
        "description": "The URL of the resource, relative to the request's.",
        "required": True,
        "schema": {"type": "string"},
    },
    "Idempotent-Replayed": {
        "description": "The response repeats an earlier request with this key.",
        "schema": {"type": "string", "const": "true"},
    },
    "Preference-Applied": {"description": "The applied wait, for example `wait=25`.", "schema": {"type": "string"}},
    "RateLimit": {
        "description": 'The amounts of the monthly limits that are left, for example `"tokens";r=420`.',
        "schema": {"type": "string"},
    },
    "RateLimit-Policy": {
        "description": 'The monthly limits, for example `"tokens";q=100000`.',
        "schema": {"type": "string"},
    },
    "Retry-After": {
        "description": "The number of seconds to wait before retrying, at most 60.",
        "schema": {"type": "string", "pattern": "^[0-9]+$"},
    },
}
_PARAMETERS: dict[str, dict[str, Any]] = {
    "IdempotencyKey": {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "Requests with the same key are executed once within 24 hours.",
        "required": False,
        "schema": {"type": "string", "minLength": 1, "maxLength": MAX_IDEMPOTENCY_KEY_CHARS},
    },
    "Prefer": {
        "name": "Prefer",
        "in": "header",
        "description": "`wait=N` returns when the run ends or requires an action, or after N seconds, at most 25.",
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


def document(apps: Iterable[HttpApp], *, with_twins: bool = False) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document with all paths of these applications, and one format of errors.

    Args:
        apps: the applications.
        with_twins: whether to include the second method of routes that have a PUT and a PATCH with one handler.
    """
    paths: dict[str, Any] = {}
    schemas: dict[str, Any] = {}
    _merge(schemas, {"Error": _error_schema(), "ErrorCode": {"type": "string", "enum": codes()}})
    for app in apps:
        part = _part(app)
        _merge(schemas, part.get("components", {}).get("schemas", {}))
        for model in (model for endpoint in app.endpoints for model in _further_models(endpoint)):
            _merge(schemas, _model_schemas(model))
        _add_operations(paths, app, part["paths"], with_twins=with_twins)
        queries = [endpoint.query for endpoint in app.endpoints if endpoint.query]
        for query in queries:
            _merge(schemas, _query(query)[1])
        # Parameters are listed one by one, and errors have a form of their own, not the resolver's.
        for name in (*_GENERIC, *(query.__name__ for query in queries)):
            schemas.pop(name, None)
    return {
        "openapi": "3.1.0",
        "info": {"title": "ainexus", "version": VERSION},
        "paths": _plain(dict(sorted(paths.items())), names=True),
        "components": {
            "schemas": _without_defaults(_plain(dict(sorted(schemas.items())), names=True)),
            "parameters": _PARAMETERS,
            "headers": _HEADERS,
            "responses": {status: _error(status, text) for status, (text, _) in FAILURES.items()},
            "securitySchemes": {"idToken": _ID_TOKEN},
        },
    }


def _add_operations(paths: dict[str, Any], app: HttpApp, generated: dict[str, Any], *, with_twins: bool) -> None:
    methods = {(endpoint.documented, endpoint.route.path): endpoint.route.method for endpoint in app.endpoints}
    twins = {
        endpoint.key: methods[False, endpoint.route.path]
        for endpoint in app.endpoints
        if endpoint.route.method in _UPDATES and (False, endpoint.route.path) in methods
    }
    for endpoint in app.endpoints:
        method, path = endpoint.key
        if endpoint.documented or with_twins:
            operation = _operation(endpoint, generated[path][method.lower()], twin=twins.get(endpoint.key))
            paths.setdefault(path, {})[method.lower()] = operation


def _plain(node: Any, *, names: bool = False) -> Any:  # noqa: ANN401 — any JSON
    """Return the document without titles that repeat a name, and without bounds that JSON Schema does not define."""
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
    schema["properties"]["error"] = {"$ref": _REFERENCE.format(model="ErrorCode")}
    return schema


def _merge(schemas: dict[str, Any], more: dict[str, Any]) -> None:
    """Add schemas by the name of their class. Two services must not use one name for different schemas."""
    for name, schema in more.items():
        inside = schema.pop("$defs", {})
        if schemas.setdefault(name, schema) != schema:
            msg = f"two services have different schemas of the name {name}"
            raise ValueError(msg)
        _merge(schemas, inside)


def _part(app: HttpApp) -> dict[str, Any]:
    schema = app.resolver.get_openapi_schema(title="ainexus", version=VERSION)
    return schema.model_dump(by_alias=True, exclude_none=True, mode="json")


def _operation(endpoint: Endpoint, generated: dict[str, Any], *, twin: str | None) -> dict[str, Any]:
    """Return an operation: the one that the resolver has generated, with everything that it does not know."""
    route = endpoint.route
    summary, _, more = generated["summary"].partition("\n")
    requirements = [*_requirements(endpoint), *([f"`{twin}` does the same."] if twin and endpoint.documented else [])]
    return {
        **generated,
        "operationId": _operation_id(generated["operationId"], route, documented=endpoint.documented),
        "summary": summary.rstrip("."),
        "description": "\n\n".join(part for part in (summary, more.strip(), *requirements) if part),
        "parameters": list(_parameters(endpoint, generated.get("parameters", []))),
        **_request_body(endpoint, generated),
        "responses": _responses(endpoint, generated["responses"]["200"].get("content", {})),
        "security": [] if route.min_role is None else [{"idToken": []}],
        "x-least-role": route.min_role.value if route.min_role else None,
        "x-feature": route.feature.value if route.feature else None,
    }


def _request_body(endpoint: Endpoint, generated: dict[str, Any]) -> dict[str, Any]:
    """Return the body of a request with every media type that its method accepts."""
    body = generated.get("requestBody")
    if body is None or endpoint.route.method != "PATCH":
        return {}
    content = body["content"]
    return {"requestBody": {**body, "content": {**content, MERGE_PATCH: content[JSON]}}}


def _parameters(endpoint: Endpoint, generated: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    yield from _path_parameters(endpoint.route.path, generated)
    if endpoint.query:
        yield from _query(endpoint.query)[0]
    headers = (parameter for parameter in generated if parameter["in"] == "header")
    yield from (parameter | {"schema": _without_null(parameter["schema"])} for parameter in headers)
    if endpoint.takes_idempotency_key:
        yield _parameter("IdempotencyKey")
    if endpoint.waits:
        yield _parameter("Prefer")
    if endpoint.route.method in _CONDITIONAL:
        yield _parameter("IfMatch")


def _responses(endpoint: Endpoint, content: dict[str, Any]) -> dict[str, Any]:
    media_type = endpoint.media_type
    if endpoint.streams:
        content = {media_type: {"schema": {"type": "string", **_content_schema(endpoint)}}}
    if endpoint.alternatives:
        content = _by_media_type(endpoint, content)
    successes = {str(status): _success(endpoint, status, content) for status in endpoint.statuses}
    failures = {
        status: {"$ref": f"#/components/responses/{status}"}
        for status in FAILURES
        if _may_answer(endpoint.route, status)
    }
    return successes | failures


def _by_media_type(endpoint: Endpoint, content: dict[str, Any]) -> dict[str, Any]:
    """Return the content of responses with each model under its media type. The handler returns others as text."""
    [schema] = [option for option in content[JSON]["schema"]["anyOf"] if "$ref" in option]
    others = {media_type: {"schema": _reference(model)} for media_type, model in endpoint.alternatives.items()}
    return {JSON: {**content[JSON], "schema": schema}, **others}


def _content_schema(endpoint: Endpoint) -> dict[str, Any]:
    """Return the schema of the events in the text of a stream."""
    if endpoint.event is None:
        return {}
    events = {"type": "array", "items": _reference(endpoint.event)}
    return {"contentMediaType": endpoint.media_type, "contentSchema": events}


def _reference(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": _REFERENCE.format(model=model.__name__)}


def _further_models(endpoint: Endpoint) -> Iterator[type[BaseModel]]:
    """Yield the models of responses that are no JSON of the resolver's."""
    yield from endpoint.alternatives.values()
    if endpoint.event:
        yield endpoint.event


def _model_schemas(model: type[BaseModel]) -> dict[str, Any]:
    schema = TypeAdapter(model).json_schema(ref_template=_REFERENCE, mode="serialization")
    return {model.__name__: schema}


def _without_defaults(schemas: dict[str, Any]) -> dict[str, Any]:
    """Move defaults into descriptions: generators make a field with a default required, or send it when it is unset."""
    for schema in schemas.values():
        required = schema.get("required", ())
        for name, field in schema.get("properties", {}).items():
            default = field.pop("default", None)
            if default not in _UNTOLD_DEFAULTS and name not in required:
                text = f"The default is `{json.dumps(default)}`."
                field["description"] = " ".join(filter(None, (field.get("description"), text)))
    return schemas


def _operation_id(default_id: str, route: Route, *, documented: bool) -> str:
    """Return the handler's name, which generated clients use. A second method of one handler needs another name."""
    path = re.sub(r"\W", "_", route.path)
    name = default_id.removesuffix(f"{path}_{route.method.lower()}")
    return name if documented else f"{name}_by_{route.method.lower()}"


def _requirements(endpoint: Endpoint) -> Iterator[str]:
    """Return the route's conditions for the caller, in sentences."""
    route = endpoint.route
    if route.min_role is None:
        yield "No token is required."
    else:
        yield f"Least role: `{route.min_role}`."
    if route.feature:
        yield f"The tenant and the token need the feature `{route.feature}`."
    if endpoint.takes_idempotency_key:
        yield "A retry with the same `Idempotency-Key` has no further effect."
    if route.method in _CONDITIONAL:
        yield "With `If-Match`, the request fails with 412 if the resource has changed."


def _path_parameters(path: str, parameters: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return all parameters in the path. Those that no handler declares are texts."""
    known = {parameter["name"]: parameter for parameter in parameters if parameter["in"] == "path"}
    text = {"in": "path", "required": True, "schema": {"type": "string"}}
    return [
        _parameter(name) if name in _PARAMETERS else known.get(name, {"name": name, **text})
        for name in re.findall(r"{(\w+)}", path)
    ]


def _query(model: type[BaseModel]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the parameters of a query model, and the schemas that they refer to."""
    schema = model.model_json_schema(ref_template=_REFERENCE)
    parameters = [
        {
            "name": name,
            "in": "query",
            "required": name in schema.get("required", ()),
            "schema": _without_null(field),
        }
        for name, field in schema["properties"].items()
    ]
    return parameters, schema.get("$defs", {})


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a parameter without null: a missing parameter is omitted, and never null."""
    kept = {name: value for name, value in schema.items() if (name, value) != ("default", None)}
    options = [option for option in kept.pop("anyOf", []) if option != {"type": "null"}]
    return {**kept, **options[0]} if len(options) == 1 else {**kept, **({"anyOf": options} if options else {})}


def _may_answer(route: Route, status: str) -> bool:
    """Return whether this route can respond with this error status."""
    match status:
        case "401" | "403":
            return route.min_role is not None
        case "402":
            return route.min_role is not None and route.method != "GET"
        case "409":
            return route.method != "GET"
        case "415":
            return route.method in _WITH_BODY
        case "412":
            return route.method in _CONDITIONAL
        case _:
            return True


def _success(endpoint: Endpoint, status: int, content: dict[str, Any]) -> dict[str, Any]:
    names = ["X-Request-Id"]
    names += ["ETag"] if status in {200, 201} else []
    names += ["Location"] if status in {201, 202} else []
    names += ["Idempotent-Replayed"] if endpoint.takes_idempotency_key else []
    names += ["Preference-Applied"] if endpoint.waits else []
    answer = {"description": _SUCCESSES[status], "headers": {name: _header(name) for name in names}}
    return answer if status == 204 else {**answer, "content": content}


def _error(status: str, text: str) -> dict[str, Any]:
    names = ["X-Request-Id", *(["Retry-After"] if status in {"429", "503"} else [])]
    names += ["RateLimit", "RateLimit-Policy"] if status == "429" else []
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
