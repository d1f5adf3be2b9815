"""AIN7xx: response schemas."""

from collections.abc import Iterator, Mapping
from typing import Any, cast

from services.agents.lint_rules.domain.finding import Category, Hit, Severity, TargetKind
from services.agents.lint_rules.domain.rule import Rule
from services.agents.lint_rules.domain.views import View
from shared.freejson import encode

MAX_FIX_BYTES = 32 * 1024
"""The maximum size of a schema that a fix replaces."""
_MAX_DEPTH = 32
_DEFINITIONS = ("$defs", "definitions")
_OPEN_KEYWORDS = frozenset(
    {
        *("allOf", "not", "if", "then", "else", "patternProperties", "propertyNames", "dependentSchemas"),
        *("dependentRequired", "dependencies", "unevaluatedProperties", "unevaluatedItems", "prefixItems", "contains"),
    }
)
"""Keywords that strict mode does not know, and that cannot be left out without a change of the meaning."""


class _NotClosable(Exception):
    """The schema has no closed form."""


def _closed(node: object, depth: int = 0) -> dict[str, Any]:
    """Return the closed form of a schema: no other properties, and each property required or nullable.

    Raises:
        _NotClosable: it has none.
    """
    if not isinstance(node, Mapping) or depth > _MAX_DEPTH:
        raise _NotClosable
    closed = dict(cast("Mapping[str, Any]", node))
    if not _OPEN_KEYWORDS.isdisjoint(closed):
        raise _NotClosable
    for keyword in ("anyOf", "oneOf"):
        if isinstance(closed.get(keyword), list):
            closed[keyword] = [_closed(one, depth + 1) for one in closed[keyword]]
    for keyword in _DEFINITIONS:
        if isinstance(closed.get(keyword), Mapping):
            closed[keyword] = {name: _closed(one, depth + 1) for name, one in closed[keyword].items()}
    if "items" in closed:
        closed["items"] = _closed(closed["items"], depth + 1)
    return _closed_object(closed, depth) if _is_object(closed) else closed


def _is_object(node: Mapping[str, Any]) -> bool:
    kind = node.get("type")
    return kind == "object" or (isinstance(kind, list) and "object" in kind) or "properties" in node


def _closed_object(node: dict[str, Any], depth: int) -> dict[str, Any]:
    properties, other = node.get("properties"), node.get("additionalProperties", False)
    if not isinstance(properties, Mapping) or other is not False:
        raise _NotClosable
    named = cast("Mapping[str, Any]", properties)
    required = {str(name) for name in node.get("required") or ()}
    if not required <= {*named}:
        raise _NotClosable
    fields = {name: _closed(one, depth + 1) for name, one in named.items()}
    fields |= {name: _nullable(one) for name, one in fields.items() if name not in required}
    return {**node, "properties": fields, "required": [*named], "additionalProperties": False}


def _nullable(node: dict[str, Any]) -> dict[str, Any]:
    kind = node.get("type")
    if kind == "null" or (isinstance(kind, list) and "null" in kind):
        return node
    if isinstance(kind, str) and "enum" not in node and "const" not in node:
        return {**node, "type": [kind, "null"]}
    return {"anyOf": [node, {"type": "null"}]}


def _check_closed(view: View) -> Iterator[Hit]:
    schema = view.document
    try:
        closed = _closed(schema)
    except (_NotClosable, RecursionError):
        yield Hit(
            "Strict mode refuses this schema, so that the provider does not enforce it. Answers are validated all the "
            "same, and an invalid one is repaired once.",
            suggestion="Use objects with fixed properties, arrays with one kind of items, `enum` and `anyOf` only.",
            identity="open",
        )
        return
    if closed == schema:
        return
    fits = len(encode(closed)) <= MAX_FIX_BYTES
    yield Hit(
        "Strict mode refuses this schema as it is: an object allows other properties, or a property is optional.",
        suggestion="Set `additionalProperties` to false, and require each property; an optional one can be null.",
        fix=[{"op": "replace", "path": view.pointer, "value": closed}] if fits else (),
        identity="closable",
    )


RULES = (
    Rule(
        rule_id="AIN701",
        title="Response schema that strict mode refuses",
        severity=Severity.WARNING,
        category=Category.BEST_PRACTICE,
        targets=(TargetKind.SCHEMA,),
        reason="A provider enforces only closed schemas. Runs close a schema where that keeps its meaning.",
        guard="A schema that is closed in every object is no finding, whatever its constraints are.",
        check=_check_closed,
        bad={
            "model": "gpt-5.5",
            "response_schema": {
                "type": "object",
                "properties": {"answer": {"type": "string"}, "source": {"type": "string"}},
                "required": ["answer"],
            },
        },
        good={
            "model": "gpt-5.5",
            "response_schema": {
                "type": "object",
                "properties": {"answer": {"type": "string"}, "source": {"type": ["string", "null"]}},
                "required": ["answer", "source"],
                "additionalProperties": False,
            },
        },
    ),
)
