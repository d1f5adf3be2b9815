"""The parts of a Markdown page."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, cast


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Return the lines of a table, and an empty line after it."""
    yield _row(head)
    yield "|" + "---|" * len(head)
    for row in rows:
        yield _row(row)
    yield ""


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(' '.join(cell.split()).replace('|', chr(92) + '|') for cell in cells)} |"


def block(data: object) -> Iterator[str]:
    """Return the lines of JSON as a block."""
    yield from ("```json", json.dumps(data, indent=2, ensure_ascii=False), "```", "")


def anchor(heading: str) -> str:
    """Return the anchor of a heading, as GitHub writes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def type_of(schema: dict[str, Any]) -> str:
    """Return the type of a schema in a few words, with a link to a model on the same page."""
    match schema:
        case {"$ref": str(reference)}:
            name = reference.rpartition("/")[2]
            return f"[{name}](#{anchor(name)})"
        case {"const": value}:
            return f"`{value}`"
        case {"enum": [*values]}:
            return ", ".join(f"`{value}`" for value in values)
        case {"anyOf": [*options]} | {"oneOf": [*options]}:
            return " or ".join(type_of(option) for option in cast("list[dict[str, Any]]", options))
        case {"type": "array"}:
            return f"list of {type_of(schema.get('items', {}))}"
        case {"type": "object", "additionalProperties": dict()}:
            return f"object of {type_of(schema['additionalProperties'])}"
        case {"format": str(form)}:
            return form
        case _:
            return str(schema.get("type", "anything"))


def bounds_of(schema: dict[str, Any]) -> str:
    """Return the bounds of a schema in a few words."""
    words = {
        "minimum": "at least {}",
        "exclusiveMinimum": "above {}",
        "maximum": "at most {}",
        "minLength": "at least {} characters",
        "maxLength": "at most {} characters",
        "minItems": "at least {} items",
        "maxItems": "at most {} items",
        "maxProperties": "at most {} entries",
        "pattern": "like `{}`",
    }
    options = [schema, *schema.get("anyOf", ())]
    return ", ".join(
        text.format(option[word] if word == "pattern" else f"{option[word]:g}")
        for option in options
        for word, text in words.items()
        if word in option
    )
