"""Parts of a JSON Schema that its canonical form omits: the order of properties and suggested values."""

from collections.abc import Iterator, Mapping
from typing import Any, cast

_MAPS = ("properties", "$defs", "definitions", "patternProperties")
"""Keywords whose value maps names to schemas."""
_LISTS = ("prefixItems", "anyOf", "oneOf", "allOf")
_SINGLE = ("items", "additionalProperties", "contains")


def with_hints(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema restricted to its first examples and its defaults, where it has any."""
    hinted = {name: _inside(name, value) for name, value in schema.items()}
    hint = _hint_of(schema)
    # An enumeration, because the oldest drafts know no `const`.
    return {**hinted, "allOf": [*hinted.get("allOf", ()), {"enum": hint}]} if hint else hinted


def _hint_of(schema: Mapping[str, Any]) -> list[object]:
    examples = schema.get("examples")
    if isinstance(examples, list) and examples:
        return [cast("list[object]", examples)[0]]
    return [schema["default"]] if schema.get("default") is not None else []


def _inside(name: str, value: Any) -> Any:  # noqa: ANN401 — any JSON
    if name in _MAPS and isinstance(value, dict):
        return {key: _hinted(inner) for key, inner in cast("dict[str, Any]", value).items()}
    if name in _LISTS and isinstance(value, list):
        return [_hinted(inner) for inner in cast("list[Any]", value)]
    return _hinted(value) if name in _SINGLE else value


def _hinted(value: Any) -> Any:  # noqa: ANN401 — any JSON
    return with_hints(cast("dict[str, Any]", value)) if isinstance(value, dict) else value


def declared_order(schema: object) -> dict[str, int]:
    """Return the position of each name in the schema's text, counted by its first declaration as a property."""
    order: dict[str, int] = {}
    for name in _declared(schema):
        order.setdefault(name, len(order))
    return order


def _declared(value: object) -> Iterator[str]:
    if isinstance(value, list):
        for inner in cast("list[object]", value):
            yield from _declared(inner)
    elif isinstance(value, dict):
        yield from _declared_in(cast("dict[str, object]", value))


def _declared_in(schema: Mapping[str, object]) -> Iterator[str]:
    for name, inner in schema.items():
        if name == "properties" and isinstance(inner, dict):
            yield from cast("dict[str, object]", inner)
        yield from _declared(cast("object", inner))
