"""Bodies made from their schemas, with a canary in every text that may be anything."""

import re
from collections.abc import Mapping
from typing import Any

from tests.isolation.operation import Json

TOLD = frozenset({"name", "description", "system_prompt", "message", "metadata", "reason", "subject"})
"""Optional fields that take any text; the others are left out."""


class NothingFits(Exception):
    """The schema alone does not say what would be accepted."""


def body_of(schema: Json, *, canary: str, known: Mapping[str, str]) -> Any:  # noqa: ANN401 — any JSON
    """What a schema accepts.

    Args:
        schema: with its references resolved.
        canary: a text to be found again.
        known: ids of what exists, by the name of the field that takes them.

    Raises:
        NothingFits: a text must have a form that nothing known has.
    """
    options = [option for option in schema.get("anyOf", ()) if option.get("type") != "null"]
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
    asked = [name for name in properties if name in schema.get("required", ()) or name in TOLD | known.keys()]
    return {
        name: known[name] if _is_reference(name, known) else _field(name, properties[name], canary=canary, known=known)
        for name in asked
        if name in schema.get("required", ()) or name in TOLD or _is_reference(name, known)
    }


def _field(name: str, schema: Json, *, canary: str, known: Mapping[str, str]) -> Any:  # noqa: ANN401 — any JSON
    return f"{canary}@example.com" if name == "email" else body_of(schema, canary=canary, known=known)


def _is_reference(name: str, known: Mapping[str, str]) -> bool:
    return name.endswith("_id") and name in known


def _text(schema: Json, *, canary: str) -> str:
    if "format" in schema:
        msg = f"a text of the format {schema['format']}"
        raise NothingFits(msg)
    text = canary[: schema.get("maxLength")]
    if "pattern" in schema and not re.search(schema["pattern"], text):
        msg = f"a text like {schema['pattern']}"
        raise NothingFits(msg)
    return text
