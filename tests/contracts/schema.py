"""Schemas of events, and what may change in them without a new version."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from shared.events.envelope import Event, EventData

FOLDER = Path(__file__).parent
SNAPSHOTS, EXAMPLES = FOLDER / "snapshots", FOLDER / "examples"

Schema = dict[str, Any]

_WORDS = {"title", "description"}
"""They explain, and promise nothing."""


def schema_of(kind: type[EventData]) -> Schema:
    """The whole event as it lies on the bus, every reference resolved."""
    said = Event[kind].model_json_schema()
    return cast("Schema", _plain(said, said.get("$defs", {})))


def _plain(node: Any, definitions: Schema, *, names: bool = False) -> Any:  # noqa: ANN401 — any JSON
    match node:
        case {"$ref": str(reference)}:
            return _plain(definitions[reference.rpartition("/")[2]], definitions)
        case dict():
            fields = cast("Schema", node).items()
            left_out = set[str]() if names else _WORDS | {"$defs"}
            return {
                name: _plain(entry, definitions, names=name == "properties")
                for name, entry in fields
                if name not in left_out
            }
        case list():
            entries = [_plain(entry, definitions) for entry in cast("list[Any]", node)]
            # Required fields and values of an enumeration have no order.
            return sorted(entries) if all(isinstance(entry, str) for entry in entries) else entries
        case _:
            return node


def snapshot(event_type: str) -> Schema:
    """The stored schema of this type."""
    return json.loads((SNAPSHOTS / f"{event_type}.json").read_text())


def example(event_type: str) -> dict[str, Any]:
    """An event of this type as it lies on the bus."""
    return json.loads((EXAMPLES / f"{event_type}.json").read_text())


def breaks(stored: Any, current: Any, path: str = "") -> list[str]:  # noqa: ANN401 — any part of a schema
    """Where the current schema breaks the stored one: a new optional field is the one thing that does not."""
    match stored, current:
        case dict(), dict():
            return _breaks_of_object(cast("Schema", stored), cast("Schema", current), path)
        case list(), list():
            before, now = cast("list[Any]", stored), cast("list[Any]", current)
            if len(before) != len(now):
                return [path]
            pairs = zip(before, now, strict=True)
            return list(dict.fromkeys(found for pair in pairs for found in breaks(*pair, path)))
        case _:
            return [] if stored == current else [path]


def _breaks_of_object(stored: Schema, current: Schema, path: str) -> list[str]:
    added = set(current) - set(stored)
    # The required ones are compared as a list of their own, so what is added here is optional.
    allowed = added if path.endswith("/properties") else set[str]()
    found = [f"{path}/{name}" for name in sorted(added - allowed | set(stored) - set(current))]
    for name in sorted(set(stored) & set(current)):
        found += breaks(stored[name], current[name], f"{path}/{name}")
    return found


def field_names(schema: Schema) -> Iterator[str]:
    """The names of all fields, of nested objects too."""
    for name, entry in schema.items():
        if name == "properties":
            yield from entry
        parts = cast("list[Any]", entry if isinstance(entry, list) else [entry])
        for part in parts:
            if isinstance(part, dict):
                yield from field_names(cast("Schema", part))


def to_text(document: object) -> str:
    """The document as it is stored."""
    return json.dumps(document, indent=2, sort_keys=True) + "\n"
