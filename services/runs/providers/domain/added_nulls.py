"""The nulls that a closed schema adds to an answer: they stand for optional properties that are missing."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any, cast

from services.runs.providers.domain.schema_nodes import Node, Schema, accepts_null, leaves_of
from services.runs.providers.domain.strict_schema import OPENAI, close_schema


def without_added_nulls(value: object, schema: Schema) -> Any:  # noqa: ANN401 — any JSON
    """Return an answer without the nulls that stand for a missing optional property.

    A null stays where the original schema accepts it or requires the property, and everywhere if the schema was not
    closed.
    """
    if close_schema(schema, OPENAI) is None:
        return value
    return _strip(value, _Groups(schema).of((schema,)))


class _Groups:
    """The groups of nodes that describe the values of one answer, of which there are many more than groups."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self._known: dict[tuple[int, ...], _Group] = {}

    def of(self, nodes: Sequence[Schema]) -> "_Group":
        """Return the group of these nodes."""
        key = tuple(map(id, nodes))
        if key not in self._known:
            self._known[key] = _Group(self, list(leaves_of(nodes, self.schema)))
        return self._known[key]


class _Group:
    """The nodes, without references and unions, that together describe a value."""

    def __init__(self, groups: _Groups, leaves: Sequence[Schema]) -> None:
        self._groups = groups
        self._leaves = leaves
        self._owners: dict[str, list[Schema]] = {}
        for leaf in leaves:
            for name in leaf.get("properties", {}):
                self._owners.setdefault(name, []).append(leaf)
        self._properties: dict[str, tuple[_Group, bool]] = {}

    @cached_property
    def items(self) -> "_Group":
        """The group of the entries of an array."""
        return self._groups.of([leaf["items"] for leaf in self._leaves if "items" in leaf])

    def property_of(self, name: str) -> "tuple[_Group, bool]":
        """Return the group of a property, and whether its null stays."""
        owners = self._owners.get(name)
        if owners is None:
            return self._groups.of(()), True
        if name not in self._properties:
            nodes = [owner["properties"][name] for owner in owners]
            is_required = any(name in owner.get("required", ()) for owner in owners)
            keeps_null = is_required or any(accepts_null(node, self._groups.schema) for node in nodes)
            self._properties[name] = self._groups.of(nodes), keeps_null
        return self._properties[name]


def _strip(value: object, group: _Group) -> object:
    """Return the value, which this group describes, without added nulls."""
    if isinstance(value, list):
        return [_strip(one, group.items) for one in cast("list[object]", value)]
    if not isinstance(value, dict):
        return value
    found: dict[str, object] = {}
    for name, inner in cast("Node", value).items():
        inside, keeps_null = group.property_of(name)
        if inner is not None or keeps_null:
            found[name] = _strip(inner, inside)
    return found
