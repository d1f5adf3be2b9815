"""Schemas of events, and the changes that they allow without a new version."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from shared.events.envelope import Event, EventData

FOLDER = Path(__file__).parent
SNAPSHOTS, EXAMPLES = FOLDER / "snapshots", FOLDER / "examples"

Schema = dict[str, Any]

_DOCUMENTATION_KEYS = {"title", "description"}
"""Keys without meaning for compatibility."""


def schema_of(kind: type[EventData]) -> Schema:
    """Return the schema of the whole event as it is on the bus, with all references resolved."""
    payload = Event[kind].model_json_schema()
    return cast("Schema", _resolved(payload, payload.get("$defs", {})))


def _resolved(node: Any, definitions: Schema, *, is_properties: bool = False) -> Any:  # noqa: ANN401 — any JSON
    match node:
        case {"$ref": str(reference)}:
            return _resolved(definitions[reference.rpartition("/")[2]], definitions)
        case dict():
            fields = cast("Schema", node).items()
            omitted = set[str]() if is_properties else _DOCUMENTATION_KEYS | {"$defs"}
            return {
                name: _resolved(entry, definitions, is_properties=name == "properties")
                for name, entry in fields
                if name not in omitted
            }
        case list():
            entries = [_resolved(entry, definitions) for entry in cast("list[Any]", node)]
            # Required fields and values of an enumeration have no order.
            return sorted(entries) if all(isinstance(entry, str) for entry in entries) else entries
        case _:
            return node


def snapshot(event_type: str) -> Schema:
    """Return the stored schema of this type."""
    return json.loads((SNAPSHOTS / f"{event_type}.json").read_text())


def example(event_type: str) -> dict[str, Any]:
    """Return an event of this type as it is on the bus."""
    return json.loads((EXAMPLES / f"{event_type}.json").read_text())


def breaking_changes(stored: Any, current: Any, path: str = "") -> list[str]:  # noqa: ANN401 — any part of a schema
    """Return the paths at which the current schema is incompatible. Only new optional fields are compatible."""
    match stored, current:
        case dict(), dict():
            return _object_changes(cast("Schema", stored), cast("Schema", current), path)
        case list(), list():
            before, now = cast("list[Any]", stored), cast("list[Any]", current)
            if len(before) != len(now):
                return [path]
            pairs = zip(before, now, strict=True)
            return list(dict.fromkeys(found for pair in pairs for found in breaking_changes(*pair, path)))
        case _:
            return [] if stored == current else [path]


def _object_changes(stored: Schema, current: Schema, path: str) -> list[str]:
    added = set(current) - set(stored)
    # Required fields are compared as a separate list, so an added property is optional here.
    allowed = added if path.endswith("/properties") else set[str]()
    found = [f"{path}/{name}" for name in sorted(added - allowed | set(stored) - set(current))]
    for name in sorted(set(stored) & set(current)):
        found += breaking_changes(stored[name], current[name], f"{path}/{name}")
    return found


def field_names(schema: Schema) -> Iterator[str]:
    """Yield the names of all fields, including those of nested objects."""
    for name, entry in schema.items():
        if name == "properties":
            yield from entry
        parts = cast("list[Any]", entry if isinstance(entry, list) else [entry])
        for part in parts:
            if isinstance(part, dict):
                yield from field_names(cast("Schema", part))


def to_text(document: object) -> str:
    """Return the document as it is stored."""
    return json.dumps(document, indent=2, sort_keys=True) + "\n"
