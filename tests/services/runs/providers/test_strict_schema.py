"""Closed forms of schemas, and answers to them."""

import json
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.runs.providers.domain import added_nulls
from services.runs.providers.domain.added_nulls import without_added_nulls
from services.runs.providers.domain.strict_schema import ANTHROPIC, OPENAI, close_schema

TEXT: Any = {"type": "string"}
NULL: Any = {"type": "null"}


def obj(required: list[str] | None = None, **properties: Any) -> dict[str, Any]:  # noqa: ANN401 — any node
    """Return an open object."""
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    return schema if required is None else {**schema, "required": required}


def closed(required: list[str], **properties: Any) -> dict[str, Any]:  # noqa: ANN401 — any node
    """Return a closed object."""
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


TREE = {
    "type": "object",
    "properties": {"name": TEXT, "children": {"type": "array", "items": {"$ref": "#"}}},
    "required": ["name", "children"],
}
PERSON = {"$defs": {"n": obj(["a"], a=TEXT)}, **obj(["p"], p={"$ref": "#/$defs/n"})}
CLOSED = {
    "an open object": (obj(["a"], a=TEXT), closed(["a"], a=TEXT), closed(["a"], a=TEXT)),
    "a closed one": (closed(["a"], a=TEXT), closed(["a"], a=TEXT), closed(["a"], a=TEXT)),
    "optional": (obj(a=TEXT), closed(["a"], a={"anyOf": [TEXT, NULL]}), closed([], a=TEXT)),
    "optional and nullable": (
        obj(a={"type": ["string", "null"]}),
        closed(["a"], a={"type": ["string", "null"]}),
        closed([], a={"type": ["string", "null"]}),
    ),
    "nested": (
        obj(["a", "b"], a=obj(["c"], c=TEXT), b={"type": "array", "items": obj(["d"], d=TEXT)}),
        closed(["a", "b"], a=closed(["c"], c=TEXT), b={"type": "array", "items": closed(["d"], d=TEXT)}),
        closed(["a", "b"], a=closed(["c"], c=TEXT), b={"type": "array", "items": closed(["d"], d=TEXT)}),
    ),
    "alternatives": (
        obj(["a"], a={"oneOf": [obj(["c"], c=TEXT), NULL]}),
        closed(["a"], a={"anyOf": [closed(["c"], c=TEXT), NULL]}),
        closed(["a"], a={"anyOf": [closed(["c"], c=TEXT), NULL]}),
    ),
    "definitions": (
        PERSON,
        {**closed(["p"], p={"$ref": "#/$defs/n"}), "$defs": {"n": closed(["a"], a=TEXT)}},
        {**closed(["p"], p={"$ref": "#/$defs/n"}), "$defs": {"n": closed(["a"], a=TEXT)}},
    ),
    "without types": (
        {"properties": {"a": {"enum": ["x", "y"]}}, "required": ["a"]},
        closed(["a"], a={"type": "string", "enum": ["x", "y"]}),
        closed(["a"], a={"type": "string", "enum": ["x", "y"]}),
    ),
    "constraints": (
        obj(
            ["a", "b"],
            a={"type": "string", "maxLength": 3, "description": "Short."},
            b={"type": "integer", "minimum": 1},
        ),
        closed(
            ["a", "b"],
            a={"type": "string", "description": "Short. (maxLength: 3)"},
            b={"type": "integer", "minimum": 1},
        ),
        closed(
            ["a", "b"],
            a={"type": "string", "description": "Short. (maxLength: 3)"},
            b={"type": "integer", "description": "(minimum: 1)"},
        ),
    ),
    "annotations": (
        {"$schema": "x", "title": "T", **obj(["a"], a={"type": "string", "default": "x"})},
        closed(["a"], a=TEXT),
        closed(["a"], a=TEXT),
    ),
    "recursion": (
        TREE,
        {**TREE, "additionalProperties": False},
        None,
    ),
}
OPEN: dict[str, Any] = {
    "no object": {"type": "array", "items": TEXT},
    "anything": {},
    "true": obj(["a"], a=True),
    "a free object": obj(["a"], a={"type": "object"}),
    "a map": obj(["a"], a={"type": "object", "additionalProperties": TEXT}),
    "other properties allowed": {**obj(["a"], a=TEXT), "additionalProperties": True},
    "a pattern of names": {**obj(["a"], a=TEXT), "patternProperties": {"^x": TEXT}},
    "an unknown required property": obj(["a", "b"], a=TEXT),
    "a list of anything": obj(["a"], a={"type": "array"}),
    "any value": obj(["a"], a={"description": "Anything."}),
    "all of": obj(["a"], a={"allOf": [TEXT]}),
    "not": obj(["a"], a={"not": TEXT}),
    "a condition": {**obj(["a"], a=TEXT), "if": {}, "then": {}},
    "tuples": obj(["a"], a={"type": "array", "items": [TEXT]}),
    "a remote reference": obj(["a"], a={"$ref": "https://example.com/x"}),
    "a dangling reference": obj(["a"], a={"$ref": "#/$defs/x"}),
    "references in a circle": {"$defs": {"a": {"$ref": "#/$defs/a"}}, **obj(["a"], a={"$ref": "#/$defs/a"})},
    "a nonsense type": {"type": 5, "properties": "x"},
}


def deep(levels: int) -> Any:  # noqa: ANN401 — a node
    node = TEXT
    for _ in range(levels):
        node = obj(["a"], a=node)
    return node


NULLS: list[Any] = [
    (obj(a=TEXT, b=TEXT), {"a": None, "b": "x"}, {"b": "x"}),
    (obj(["a"], a={"type": ["string", "null"]}), {"a": None}, {"a": None}),
    (obj(a={"type": ["string", "null"]}), {"a": None}, {"a": None}),
    (obj(["a"], a=TEXT), {"a": None}, {"a": None}),
    (obj(a=TEXT), {"z": None}, {"z": None}),
    (obj(["l"], l={"type": "array", "items": obj(a=TEXT)}), {"l": [{"a": None}, {}]}, {"l": [{}, {}]}),
    (
        {"$defs": {"n": obj(a=TEXT)}, **obj(["p"], p={"$ref": "#/$defs/n"})},
        {"p": {"a": None}},
        {"p": {}},
    ),
    (obj(["u"], u={"anyOf": [obj(a=TEXT), NULL]}), {"u": {"a": None}}, {"u": {}}),
    ({**obj(a=TEXT), "additionalProperties": True}, {"a": None}, {"a": None}),
]


@pytest.mark.report(7)
class TestClosing:
    @pytest.mark.parametrize(("schema", "openai", "anthropic"), CLOSED.values(), ids=CLOSED)
    def test_keeps_the_meaning(self, schema: Any, openai: object, anthropic: object) -> None:  # noqa: ANN401
        before = json.dumps(schema)
        assert close_schema(schema, OPENAI) == openai
        assert close_schema(schema, ANTHROPIC) == anthropic
        assert json.dumps(schema) == before

    @pytest.mark.parametrize("schema", OPEN.values(), ids=OPEN)
    def test_is_refused_where_the_meaning_would_change(self, schema: Any) -> None:  # noqa: ANN401
        assert (close_schema(schema, OPENAI), close_schema(schema, ANTHROPIC)) == (None, None)

    def test_is_bounded(self) -> None:
        assert close_schema(deep(10), OPENAI)
        assert close_schema(deep(12), OPENAI) is None
        assert close_schema(deep(5_000), OPENAI) is None
        many = obj(**{f"p{number}": TEXT for number in range(25)})
        assert close_schema(many, OPENAI)
        assert close_schema(many, ANTHROPIC) is None


@pytest.mark.report(7)
class TestAddedNulls:
    @pytest.mark.parametrize(
        ("schema", "answer", "expected"),
        NULLS,
    )
    def test_are_removed(self, schema: Any, answer: object, expected: object) -> None:  # noqa: ANN401
        assert without_added_nulls(answer, schema) == expected

    @given(
        present=st.sets(st.sampled_from("abc")),
        required=st.sets(st.sampled_from("abc")),
        nullable=st.sets(st.sampled_from("abc")),
    )
    def test_lead_to_an_answer_that_fits_the_original(
        self, present: set[str], required: set[str], nullable: set[str]
    ) -> None:
        fields = {name: {"type": ["integer", "null"] if name in nullable else "integer"} for name in "abc"}
        schema = obj(sorted(required), **fields)
        strict = close_schema(schema, OPENAI)
        answer = {name: 1 if name in present or (name in required and name not in nullable) else None for name in "abc"}
        assert strict
        jsonschema_rs.validate(strict, answer)
        jsonschema_rs.validate(schema, without_added_nulls(answer, schema))


class TestBoundedWork:
    """A schema of 64 KB must not cost seconds of a worker that has runs of other tenants too."""

    @pytest.mark.parametrize(("alternatives", "is_closed"), [(49, True), (50, False)])
    def test_a_value_with_too_many_alternatives_is_not_closed(self, alternatives: int, *, is_closed: bool) -> None:
        union = {"anyOf": [{"const": number} for number in range(alternatives)]}
        schema = {"type": "object", "properties": {"a": {"$ref": "#/$defs/u"}}, "$defs": {"u": union}}
        assert (close_schema(schema, OPENAI) is not None) is is_closed

    def test_many_values_of_one_kind_are_described_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        described = list[object]()

        class Counted(added_nulls._Group):  # pyright: ignore[reportPrivateUsage] — the work is not visible otherwise
            def __init__(self, *arguments: Any) -> None:  # noqa: ANN401 — those of the base class
                described.append(arguments)
                super().__init__(*arguments)

        monkeypatch.setattr(added_nulls, "_Group", Counted)
        tree = {"anyOf": [{"type": "array", "items": {"$ref": "#/$defs/tree"}}, {"type": "string"}]}
        schema = {"type": "object", "properties": {"a": {"$ref": "#/$defs/tree"}}, "$defs": {"tree": tree}}
        value = {"a": [[["x"], []] for _ in range(1_000)], **{f"unknown{number}": None for number in range(1_000)}}
        assert without_added_nulls(value, schema) == value
        assert len(described) < 10
