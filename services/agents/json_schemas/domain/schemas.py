"""The check that a JSON Schema can be used, before any call is paid for.

Providers and the worker compile a schema. Here, only its form is checked, in linear time: a schema with many references
can take exponential time to compile. Its patterns are compiled in a child process with limits, so that one tenant's
schema cannot block a function that serves all.
"""

import json
from collections.abc import Iterator
from typing import Any, cast
from urllib.parse import unquote

from pydantic import AfterValidator

from services.agents.json_schemas.domain import patterns
from shared.sandbox import LimitExceeded, ProcessLimits, Sandbox

LIMITS = ProcessLimits(cpu_s=0.5, memory_bytes=192 * 1024 * 1024, wall_s=10.0)
"""A thousand ordinary patterns take 0.2 s."""

_SCHEMAS_BY_NAME = frozenset(
    {"properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies"}
)
_SCHEMAS_IN_LISTS = frozenset({"allOf", "anyOf", "oneOf", "prefixItems", "items"})
_SINGLE_SCHEMAS = frozenset(
    {
        *("items", "contains", "additionalItems", "additionalProperties", "propertyNames", "not", "if", "then", "else"),
        *("unevaluatedItems", "unevaluatedProperties", "contentSchema"),
    }
)
_LATEST = "https://json-schema.org/draft/2020-12/schema"
_VERSIONS = frozenset(
    {
        *("http://json-schema.org/draft-04/schema", "http://json-schema.org/draft-06/schema"),
        *("http://json-schema.org/draft-07/schema", "https://json-schema.org/draft/2019-09/schema"),
        _LATEST,
    }
)
"""The values of `$schema`. The library would fetch any other address."""
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
_ANCHORS = ("$anchor", "$dynamicAnchor")
_MAX_REASON_CHARS = 200

Pointer = tuple[str | int, ...]

_sandbox = Sandbox(patterns.__name__, LIMITS)


class InvalidSchema(ValueError):
    """The value is no JSON Schema that can be used.

    Args:
        pointer: the keys from the root of the schema to the defect.
        reason: completes a sentence that begins with the place.
    """

    def __init__(self, pointer: Pointer, reason: str) -> None:
        place = "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in pointer)
        super().__init__(f"at {place or 'its root'}: {reason[:_MAX_REASON_CHARS]}")


def check_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema.

    Raises:
        InvalidSchema: a keyword has a value that its meta-schema forbids, a pattern is no regular expression, or a
            reference leads out of the schema or to nothing.
    """
    # Only requests with a schema need the library.
    import jsonschema_rs

    subschemas = list(_subschemas(schema))
    for pointer, one in subschemas:
        if str(one.get("$schema", _LATEST)).removesuffix("#") not in _VERSIONS:
            raise InvalidSchema((*pointer, "$schema"), "is not a known version of JSON Schema")
    try:
        jsonschema_rs.meta.validate(schema)
    except jsonschema_rs.ValidationError as error:
        raise InvalidSchema(tuple(error.instance_path), error.message) from error
    anchors = {str(one[keyword]) for _, one in subschemas for keyword in _ANCHORS if keyword in one}
    for pointer, one in subschemas:
        _check_references(schema, anchors, pointer, one)
    _check_patterns({pattern: place for pointer, one in subschemas for place, pattern in _patterns(pointer, one)})
    return schema


UsableSchema = AfterValidator(check_schema)
"""For a field with a JSON Schema that is used as it is."""


def _check_references(root: dict[str, Any], anchors: set[str], pointer: Pointer, schema: dict[str, Any]) -> None:
    for keyword in _REFERENCES:
        reference = schema.get(keyword)
        if not isinstance(reference, str):
            continue
        if not reference.startswith("#"):
            raise InvalidSchema((*pointer, keyword), "references outside of the schema are not followed; use #/$defs/…")
        fragment = unquote(reference[1:])
        if not (_has(root, fragment) if fragment.startswith("/") else fragment in {"", *anchors}):
            raise InvalidSchema((*pointer, keyword), "refers to nothing in the schema")


def _has(root: object, fragment: str) -> bool:
    for part in fragment.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(root, dict) and key in root:
            root = cast("dict[str, object]", root)[key]
        elif isinstance(root, list) and key.isdigit() and int(key) < len(cast("list[object]", root)):
            root = cast("list[object]", root)[int(key)]
        else:
            return False
    return isinstance(root, dict | bool)


def _patterns(pointer: Pointer, schema: dict[str, Any]) -> Iterator[tuple[Pointer, str]]:
    pattern, properties = schema.get("pattern"), schema.get("patternProperties")
    if isinstance(pattern, str):
        yield (*pointer, "pattern"), pattern
    for name in cast("dict[str, object]", properties) if isinstance(properties, dict) else ():
        yield (*pointer, "patternProperties", name), name


def _check_patterns(places: dict[str, Pointer]) -> None:
    if not places:
        return
    try:
        invalid = json.loads(_sandbox.call(json.dumps([*places]).encode()))
    except LimitExceeded as error:
        raise InvalidSchema((), "its patterns take too long to compile") from error
    if invalid is not None:
        raise InvalidSchema(places[invalid], "is no regular expression")


def _subschemas(root: dict[str, Any]) -> Iterator[tuple[Pointer, dict[str, Any]]]:
    """Yield the schema and all schemas in it, each with its pointer; values such as `default` are no schemas."""
    waiting: list[tuple[Pointer, object]] = [((), root)]
    while waiting:
        pointer, value = waiting.pop()
        if not isinstance(value, dict):
            continue
        schema = cast("dict[str, Any]", value)
        yield pointer, schema
        for keyword, inner in schema.items():
            place = (*pointer, keyword)
            if keyword in _SCHEMAS_BY_NAME and isinstance(inner, dict):
                named = cast("dict[str, object]", inner)
                waiting += (((*place, name), one) for name, one in named.items())
            elif keyword in _SCHEMAS_IN_LISTS and isinstance(inner, list):
                waiting += (((*place, number), one) for number, one in enumerate(cast("list[object]", inner)))
            elif keyword in _SINGLE_SCHEMAS:
                waiting.append((place, inner))
