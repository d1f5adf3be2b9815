"""Closed forms of JSON Schemas, which providers require to constrain an answer.

An object is closed by `additionalProperties: false`, which an ordinary schema leaves out. OpenAI also requires every
property, so an optional one becomes nullable. Answers are validated against the original schema in any case.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import cast

from services.runs.providers.domain.request import ModelRequest
from services.runs.providers.domain.schema_nodes import (
    DEFINITIONS,
    Node,
    Schema,
    accepts_null,
    leaves_of,
    resolved,
    types_of,
)
from services.runs.runs.domain.conversation import Message

_MAX_DEPTH = 10
_MAX_PROPERTIES = 5_000
_MAX_OPTIONAL = 24
_MAX_UNIONS = 16
_MAX_ALTERNATIVES = 50
"""Of one value, over all its unions. It bounds the work for each property and for each value of an answer."""
_STRUCTURE = frozenset(
    {"type", "properties", "required", "additionalProperties", "items", "anyOf", "oneOf", "enum", "const", "$ref"}
)
_ANNOTATIONS = frozenset(
    {"$schema", "$id", "$comment", "default", "examples", "example", "deprecated", "readOnly", "writeOnly", "title"}
)
"""Keywords without any constraint, which strict mode may refuse."""
_CONSTRAINTS = frozenset(
    {
        *("minLength", "maxLength", "pattern", "format"),
        *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
        *("minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties"),
    }
)
"""Keywords that become a part of the description where strict mode does not support them."""
_FORMATS = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"})


@dataclass(frozen=True, slots=True)
class Dialect:
    """The part of JSON Schema that a provider supports in strict mode."""

    constraints: frozenset[str]
    has_optional: bool
    """Whether a property may be missing from `required`."""
    is_recursive: bool


OPENAI = Dialect(
    _CONSTRAINTS - {"minLength", "maxLength", "uniqueItems", "minProperties", "maxProperties"},
    has_optional=False,
    is_recursive=True,
)
ANTHROPIC = Dialect(frozenset({"format"}), has_optional=True, is_recursive=False)
"""Of the Messages API, and of models behind Converse."""


def with_schema_instruction(request: ModelRequest) -> tuple[Message, ...]:
    """Return the messages, with an instruction if the schema cannot be enforced by a provider without another mode."""
    schema = request.response_schema
    if schema is None or close_schema(schema, ANTHROPIC) is not None:
        return request.messages
    text = f"Answer only with JSON that conforms to this JSON Schema: {json.dumps(schema, ensure_ascii=False)}"
    return (*request.messages, Message("system", text))


class _Open(Exception):
    """The schema cannot be closed without a change of its meaning."""


def close_schema(schema: Schema, dialect: Dialect) -> Node | None:
    """Return the closed form of a schema; None if closing would change its meaning, or the provider would refuse it."""
    try:
        return _Closing(schema, dialect).root()
    except (_Open, TypeError, RecursionError):
        return None


@dataclass(slots=True)
class _Closing:
    """The conversion of one schema."""

    schema: Schema
    dialect: Dialect
    properties: int = 0
    optional: int = 0
    unions: int = 0

    def root(self) -> Node:
        """Return the closed schema.

        Raises:
            _Open: it cannot be closed.
        """
        definitions = {name: self.schema[name] for name in DEFINITIONS if name in self.schema}
        closed = self._close({name: self.schema[name] for name in self.schema if name not in definitions}, depth=0)
        if closed.get("type") != "object":
            raise _Open
        for name, group in definitions.items():
            closed[name] = {key: self._close(node, depth=1) for key, node in group.items()}
        limits = (
            (self.properties, _MAX_PROPERTIES),
            (self.optional, _MAX_OPTIONAL if self.dialect.has_optional else _MAX_PROPERTIES),
            (self.unions, _MAX_UNIONS if self.dialect.has_optional else _MAX_PROPERTIES),
        )
        if any(count > limit for count, limit in limits) or (not self.dialect.is_recursive and _is_recursive(closed)):
            raise _Open
        return closed

    def _close(self, node: object, *, depth: int) -> Node:
        if not isinstance(node, dict) or depth > _MAX_DEPTH:
            raise _Open
        keywords = cast("Node", node)
        if keywords.keys() - _STRUCTURE - _ANNOTATIONS - _CONSTRAINTS - {"description"}:
            raise _Open
        if "$ref" in keywords:
            return self._reference(keywords)
        closed = self._described(keywords)
        alternatives = keywords.get("anyOf", keywords.get("oneOf"))
        if alternatives is not None:
            return closed | self._union(keywords, alternatives, depth=depth)
        return closed | self._typed(keywords, depth=depth)

    def _reference(self, node: Node) -> Node:
        target = resolved(node, self.schema)
        if target is None or node.keys() & (_STRUCTURE - {"$ref"}):
            raise _Open
        self._check_alternatives(node)
        return {"$ref": node["$ref"]}

    def _union(self, node: Node, alternatives: Sequence[object], *, depth: int) -> Node:
        if node.keys() & (_STRUCTURE - {"anyOf", "oneOf"}) or not alternatives or {"anyOf", "oneOf"} <= node.keys():
            raise _Open
        self._check_alternatives(node)
        self.unions += 1
        # That only one alternative of `oneOf` fits is checked in the answer.
        return {"anyOf": [self._close(one, depth=depth) for one in alternatives]}

    def _check_alternatives(self, node: Node) -> None:
        if len(list(islice(leaves_of((node,), self.schema), _MAX_ALTERNATIVES + 1))) > _MAX_ALTERNATIVES:
            raise _Open

    def _typed(self, node: Node, *, depth: int) -> Node:
        kinds = types_of(node)
        if not kinds:
            raise _Open
        self.unions += len(kinds) > 1
        closed: Node = {"type": kinds[0] if len(kinds) == 1 else list(kinds)}
        closed |= {name: node[name] for name in ("enum", "const") if name in node}
        if "object" in kinds:
            closed |= self._object(node, depth=depth)
        if "array" in kinds:
            closed["items"] = self._close(node.get("items"), depth=depth + 1)
        return closed

    def _object(self, node: Node, *, depth: int) -> Node:
        properties, required = node.get("properties"), node.get("required", [])
        is_closed = node.get("additionalProperties") is False
        if properties is None and is_closed:
            properties = {}
        # An object with other properties is a map, which cannot be closed.
        if not (isinstance(properties, dict) and (properties or is_closed)) or not (
            is_closed or "additionalProperties" not in node
        ):
            raise _Open
        fields = cast("Node", properties)
        needed = set(required)
        if not needed <= fields.keys():
            raise _Open
        self.properties += len(fields)
        self.optional += len(fields) - len(needed)
        closed = {name: self._property(one, required=name in needed, depth=depth) for name, one in fields.items()}
        names = list(required) if self.dialect.has_optional else list(fields)
        return {"properties": closed, "required": names, "additionalProperties": False}

    def _property(self, node: object, *, required: bool, depth: int) -> Node:
        closed = self._close(node, depth=depth + 1)
        if required or self.dialect.has_optional or accepts_null(cast("Node", node), self.schema):
            return closed
        return {"anyOf": [closed, {"type": "null"}]}

    def _described(self, node: Node) -> Node:
        """Return description and supported constraints; the others become a part of the description."""
        kept = {name: node[name] for name in node if name in _CONSTRAINTS and self._supports(name, node[name])}
        dropped = [f"{name}: {node[name]}" for name in node if name in _CONSTRAINTS and name not in kept]
        texts = [str(node["description"])] if node.get("description") else []
        texts += [f"({', '.join(dropped)})"] if dropped else []
        return {**({"description": " ".join(texts)} if texts else {}), **kept}

    def _supports(self, name: str, value: object) -> bool:
        if name == "format" and value not in _FORMATS:
            return False
        # Groups with a question mark look around or name themselves, which strict mode does not support.
        return name in self.dialect.constraints and not (name == "pattern" and "(?" in str(value))


def _is_recursive(closed: Node) -> bool:
    nodes: dict[str, object] = {
        f"#/{group}/{name}": node for group in DEFINITIONS for name, node in closed.get(group, {}).items()
    }
    nodes["#"] = {name: node for name, node in closed.items() if name not in DEFINITIONS}
    left = {name: set(_references(node)) for name, node in nodes.items()}
    while True:
        free = [name for name, names in left.items() if not names & left.keys()]
        if not free:
            return bool(left)
        for name in free:
            del left[name]


def _references(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        for name, inner in cast("Node", node).items():
            if name == "$ref" and isinstance(inner, str):
                yield inner
            else:
                yield from _references(inner)
    elif isinstance(node, list):
        for inner in cast("list[object]", node):
            yield from _references(inner)
