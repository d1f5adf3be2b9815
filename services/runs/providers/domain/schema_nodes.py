"""The nodes of a JSON Schema, and the types and limits that they set for a value."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

Schema = Mapping[str, Any]
Node = dict[str, Any]

DEFINITIONS = ("$defs", "definitions")
_TYPES: Mapping[type, str] = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}


def types_of(node: Schema) -> tuple[str, ...]:
    """Return the types of the values that a node describes; empty if that is not clear."""
    given = node.get("type")
    if given is not None:
        return (given,) if isinstance(given, str) else tuple(given)
    if "properties" in node:
        return ("object",)
    if "items" in node:
        return ("array",)
    values = cast("list[object]", [node["const"]] if "const" in node else node.get("enum", []))
    kinds = tuple(dict.fromkeys(_TYPES.get(type(value), "") for value in values))
    return kinds if all(kinds) else ()


def resolved(node: Schema, schema: Schema) -> Schema | None:
    """Return the node that a reference names; None if it is elsewhere, or refers further."""
    target: object = schema
    start, *path = str(node["$ref"]).split("/")
    if start != "#" or (path and (len(path) != 2 or path[0] not in DEFINITIONS)):
        return None
    for name in path:
        target = _child(target, name)
    return cast("Schema", target) if isinstance(target, dict) and "$ref" not in target else None


def _child(node: object, name: str) -> object:
    return cast("Node", node).get(name) if isinstance(node, dict) else None


def accepts_null(node: Schema, schema: Schema) -> bool:
    """Return whether a node describes null, among other values."""
    return any("null" in types_of(leaf) and None in leaf.get("enum", [None]) for leaf in leaves_of((node,), schema))


def leaves_of(nodes: Sequence[Schema], schema: Schema) -> Iterator[Schema]:
    """Yield the nodes without references and unions that together describe a value."""
    waiting, seen = list(nodes), set[int]()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if "$ref" in node:
            waiting += [target for target in (resolved(node, schema),) if target is not None]
            continue
        waiting += node.get("anyOf", node.get("oneOf", []))
        yield node
