"""Request bodies generated from their schemas, with a canary in every free text."""

import re
from collections.abc import Mapping
from typing import Any

from tests.isolation.operation import Json

FREE_TEXT_FIELDS = frozenset({"name", "description", "system_prompt", "message", "metadata", "reason", "subject"})
"""Optional fields with free text. Other optional fields are omitted."""


class ValueUndetermined(Exception):
    """The schema alone does not determine an accepted value."""


def body_of(schema: Json, *, canary: str, known: Mapping[str, str]) -> Any:  # noqa: ANN401 — any JSON
    """Return a value that a schema accepts.

    Args:
        schema: the schema, with its references resolved.
        canary: the text by which the tenant's data is recognized.
        known: ids of existing resources, by the name of the field for them.

    Raises:
        NothingFits: a text must match a pattern that no known value has.
    """
    options = [option for option in schema.get("anyOf", schema.get("oneOf", ())) if option.get("type") != "null"]
    if options:
        return body_of(options[0], canary=canary, known=known)
    match schema:
        case {"const": value} | {"enum": [value, *_]}:
            return value
        case {"type": "object"}:
            return _object(schema, canary=canary, known=known)
        case {"type": "array"}:
            return [body_of(schema["items"], canary=canary, known=known)] * max(1, schema.get("minItems", 0))
        case {"type": "string"}:
            return _text(schema, canary=canary)
        case {"type": "integer" | "number"}:
            return int(schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1))
        case _:
            return schema.get("type") == "boolean" or {}


def _object(schema: Json, *, canary: str, known: Mapping[str, str]) -> Json:
    properties: Json = schema.get("properties", {})
    if not properties:
        return {"note": canary}
    names = [
        name for name in properties if name in schema.get("required", ()) or name in FREE_TEXT_FIELDS | known.keys()
    ]
    return {
        name: known[name] if _is_reference(name, known) else _field(name, properties[name], canary=canary, known=known)
        for name in names
        if name in schema.get("required", ()) or name in FREE_TEXT_FIELDS or _is_reference(name, known)
    }


def _field(name: str, schema: Json, *, canary: str, known: Mapping[str, str]) -> Any:  # noqa: ANN401 — any JSON
    if name == "email":
        return f"{canary}@example.com"
    value = body_of(schema, canary=canary, known=known)
    # A prefix allows any name of a model.
    return f"bedrock/{value}" if name == "model" else value


def _is_reference(name: str, known: Mapping[str, str]) -> bool:
    return name.endswith("_id") and name in known


def _text(schema: Json, *, canary: str) -> str:
    if "format" in schema:
        msg = f"a string of the format {schema['format']}"
        raise ValueUndetermined(msg)
    text = canary[: schema.get("maxLength")]
    if "pattern" in schema and not re.search(schema["pattern"], text):
        msg = f"a string that matches {schema['pattern']}"
        raise ValueUndetermined(msg)
    return text
