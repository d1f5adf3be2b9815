"""The OpenAPI document as a readable page."""

from collections.abc import Iterator
from typing import Any

from infra.documents.markdown import anchor, block, bounds_of, table, type_of

Json = dict[str, Any]

_HEAD = """# Routes

`make docs` generates this page from [openapi.json](openapi.json), which the API serves as `GET /v1/openapi.json`. The
[matrix of roles](roles.md) shows who may call each route.
"""
_METHODS = ("get", "post", "put", "patch", "delete")


def routes_markdown(document: Json) -> str:
    """Return the page: routes by service, then errors, then the schemas of bodies."""
    lines = [_HEAD, document["info"]["description"], *_contents(document)]
    for tag in document["tags"]:
        lines += [f"## {tag['name']}", "", tag["description"], ""]
        for path, method, operation in _operations(document, tag["name"]):
            lines += _operation(document, path, method, operation)
    lines += ["## Errors", "", *_errors(document)]
    lines += ["## Shapes", "", *_schemas(document)]
    return "\n".join(lines).rstrip() + "\n"


def _operations(document: Json, tag: str) -> Iterator[tuple[str, str, Json]]:
    for path, operations in document["paths"].items():
        for method in sorted(operations, key=_METHODS.index):
            if tag in operations[method]["tags"]:
                yield path, method, operations[method]


def _contents(document: Json) -> Iterator[str]:
    for tag in document["tags"]:
        yield f"* [{tag['name']}](#{anchor(tag['name'])})"
        for path, method, operation in _operations(document, tag["name"]):
            heading = _heading(path, method)
            yield f"  * [`{heading}`](#{anchor(heading)}) {operation['summary']}"
    yield from ("* [Errors](#errors)", "* [Shapes](#shapes)", "")


def _heading(path: str, method: str) -> str:
    return f"{method.upper()} {path}"


def _operation(document: Json, path: str, method: str, operation: Json) -> Iterator[str]:
    yield from (f"### {_heading(path, method)}", "", operation["description"], "")
    parameters = [_resolved(document, one) for one in operation["parameters"]]
    if parameters:
        yield from table(("parameter", "in", "what"), (_parameter(one) for one in parameters))
    for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
        yield from (f"Body (`{media_type}`): {type_of(content['schema'])}", "")
        yield from block(content["example"]) if "example" in content else ()
    yield from _responses(operation["responses"])


def _parameter(parameter: Json) -> tuple[str, str, str]:
    schema = parameter["schema"]
    default = f"default {schema['default']}" if "default" in schema else ""
    text = parameter.get("description", schema.get("description", ""))
    what = "; ".join(part for part in (type_of(schema), bounds_of(schema), default) if part)
    return f"`{parameter['name']}`", parameter["in"], f"{what}. {text}".strip()


def _responses(responses: Json) -> Iterator[str]:
    refused = [status for status in responses if not status.startswith("2")]
    for status in (status for status in responses if status.startswith("2")):
        response = responses[status]
        headers = ", ".join(f"`{name}`" for name in response.get("headers", {}))
        [*types] = (_type_of_body(media_type, content) for media_type, content in response.get("content", {}).items())
        yield from (f"**{status}** {' '.join([response['description'], *types])} Headers: {headers}.", "")
        for content in response.get("content", {}).values():
            yield from block(content["example"]) if "example" in content else ()
    yield from (f"Refused with {', '.join(f'[{status}](#{status})' for status in refused)}.", "")


def _type_of_body(media_type: str, content: Json) -> str:
    return f"{type_of(content['schema'])}." if media_type == "application/json" else f"`{media_type}`."


def _errors(document: Json) -> Iterator[str]:
    yield from ("Every error has the schema [Error](#error), also those of the gateway.", "")
    for status, response in document["components"]["responses"].items():
        yield from (f"### {status}", "", response["description"], "")
        for example in response["content"]["application/json"]["examples"].values():
            yield from block(example["value"])


def _schemas(document: Json) -> Iterator[str]:
    for name, schema in document["components"]["schemas"].items():
        yield from (f"### {name}", "", *([schema["description"], ""] if "description" in schema else []))
        required = schema.get("required", ())
        if "properties" in schema:
            rows = (
                _field(field, field_schema, is_required=field in required)
                for field, field_schema in schema["properties"].items()
            )
            yield from table(("field", "type", "required", "description"), rows)
        else:
            yield from (" ".join((type_of(schema), bounds_of(schema))).strip(), "")


def _field(name: str, schema: Json, *, is_required: bool) -> tuple[str, str, str, str]:
    text = "; ".join(part for part in (bounds_of(schema), schema.get("description", "")) if part)
    return f"`{name}`", type_of(schema), "yes" if is_required else "", text


def _resolved(document: Json, parameter: Json) -> Json:
    if "$ref" not in parameter:
        return parameter
    return document["components"]["parameters"][parameter["$ref"].rpartition("/")[2]]
