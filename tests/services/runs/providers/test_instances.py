"""Values that fit a schema."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.runs.execution.domain.structured_output import parse_structured
from services.runs.providers.domain.instance_search import MAX_BYTES, find_instance
from services.runs.providers.domain.instances import NoInstance, arguments_of, instance_of
from tests.services.runs.execution.test_structured_output import DOUBLING

Schema = dict[str, Any]
TREE = {
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "children": {"items": {"$ref": "#/$defs/node"}, "type": "array"},
            },
            "required": ["name", "children"],
        }
    },
    "$ref": "#/$defs/node",
}
LIST = {
    "type": "object",
    "properties": {"next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}},
    "required": ["next"],
    "additionalProperties": False,
}
FITTING: dict[str, tuple[Schema, object]] = {
    "anything": ({}, "text"),
    "nullable": ({"type": ["null", "string"]}, "text"),
    "null": ({"type": "null"}, None),
    "constant": ({"const": {"a": [1]}}, {"a": [1]}),
    "enumeration": ({"enum": [None, "b"]}, "b"),
    "boolean": ({"type": "boolean"}, False),
    "integer": ({"type": "integer"}, 1),
    "multiples": ({"type": "integer", "multipleOf": 6, "minimum": 20, "not": {"multipleOf": 4}}, 30),
    "at most": ({"type": "integer", "maximum": -3}, -3),
    "decimals": ({"type": "number", "multipleOf": 0.3, "minimum": 1, "exclusiveMaximum": 2}, 1.2),
    "open interval": ({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, 0.03125),
    "no integer": ({"type": "number", "minimum": 2, "maximum": 3, "not": {"type": "integer"}}, 2.03125),
    "short text": ({"type": "string", "maxLength": 2}, "a"),
    "long text": ({"type": "string", "minLength": 6}, "text--"),
    "not this text": ({"type": "string", "not": {"enum": ["text"]}}, "text 2"),
    "pattern": ({"type": "string", "pattern": "^[A-Z]{3}-\\d+$"}, "AAA-0"),
    "alternatives": ({"type": "string", "pattern": "^(red|green)$"}, "red"),
    "back reference": ({"type": "string", "pattern": "^(a|b)\\1$"}, "aa"),
    "two patterns": ({"type": "string", "allOf": [{"pattern": "^a"}, {"pattern": "b$"}], "minLength": 4}, "aaab"),
    "syntax of other engines": ({"type": "string", "pattern": "^\\p{Lu}\\p{L}+$"}, "TEXT"),
    "unanchored": ({"type": "string", "pattern": "\\d", "minLength": 3}, "0aa"),
    "format": ({"type": "string", "format": "date-time"}, "2026-01-01T00:00:00Z"),
    "format that does not fit": ({"type": "string", "format": "date-time", "maxLength": 3}, "a"),
    "list": ({"type": "array", "items": {"type": "integer"}}, [1]),
    "tuple": ({"type": "array", "prefixItems": [{"type": "string"}, {"const": 2}], "minItems": 2}, ["text", 2]),
    "distinct": (
        {"type": "array", "items": {"type": "string"}, "minItems": 3, "uniqueItems": True},
        ["text", "text 2", "text 3"],
    ),
    "contains": ({"type": "array", "items": {"type": "integer"}, "contains": {"minimum": 7}, "minItems": 2}, [7, 1]),
    "order of properties": (
        {"properties": {"b": {"type": "integer"}, "a": {"type": "null"}}, "type": "object"},
        {"b": 1, "a": None},
    ),
    "merged": ({"type": "object", "allOf": [{"required": ["a"]}, {"properties": {"a": {"const": 3}}}]}, {"a": 3}),
    "condition": (
        {
            "type": "object",
            "properties": {"k": {"const": "x"}},
            "required": ["k"],
            "if": {"properties": {"k": {"const": "x"}}},
            "then": {"required": ["v"]},
        },
        {"k": "x", "v": "text"},
    ),
    "either": ({"oneOf": [{"type": "string", "minLength": 2}, {"type": "string", "maxLength": 3}]}, "a"),
    "names by pattern": (
        {
            "type": "object",
            "patternProperties": {"^a": {"type": "integer"}},
            "minProperties": 2,
            "additionalProperties": False,
        },
        {"a": 1, "a4": 1},
    ),
    "free names": (
        {"type": "object", "minProperties": 2, "additionalProperties": {"type": "integer"}},
        {"property_1": 1, "property_2": 1},
    ),
    "few names": (
        {"type": "object", "properties": {"a": {"const": 1}, "b": {"const": 2}}, "required": ["b"], "maxProperties": 1},
        {"b": 2},
    ),
    "tree": (TREE, {"name": "text", "children": [{"name": "text", "children": []}]}),
    "linked list": (LIST, {"next": {"next": {"next": None}}}),
    "first example": ({"type": "string", "examples": ["Wien", "Graz"], "default": "Linz"}, "Wien"),
    "default": ({"properties": {"a": {"default": 7}}, "type": "object"}, {"a": 7}),
    "wrong example": ({"type": "string", "examples": [7]}, "text"),
    "older draft": (
        {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "type": "array",
            "items": [{"const": 1}],
            "additionalItems": False,
            "minItems": 1,
        },
        [1],
    ),
}


def _nested(levels: int) -> Schema:
    inner = _nested(levels - 1) if levels else {"type": "integer"}
    return {"type": "object", "properties": {"a": inner}, "required": ["a"]}


LETTERS = [*"abcdefgh"]
FAN: Schema = {
    "$defs": {
        **{
            f"n{level}": {
                "type": "object",
                "properties": {one: {"$ref": f"#/$defs/n{level + 1}"} for one in LETTERS},
                "required": LETTERS,
            }
            for level in range(10)
        },
        "n10": {},
    },
    "$ref": "#/$defs/n0",
}
CLAUSES = [
    {"anyOf": [{"properties": {f"x{(row * 7 + one) % 20}": {"const": row * one % 2}}} for one in range(3)]}
    for row in range(30)
]
HOSTILE: dict[str, tuple[Schema, str]] = {
    "contradiction": (
        {"type": "integer", "minimum": 5, "maximum": 3},
        "admits no value: no value fits its root (maximum",
    ),
    "inner contradiction": (
        {"properties": {"a": {"type": "integer", "enum": ["x"]}}, "required": ["a"], "type": "object"},
        "admits no value: no value fits /properties/a (enum, type)",
    ),
    "too few values": (
        {"type": "array", "items": {"enum": [1, 2]}, "minItems": 3, "uniqueItems": True},
        "admits no value",
    ),
    "endless": ({"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}, "admits no value"),
    "many items": ({"type": "array", "minItems": 1_000_000}, "requires a value that is too large"),
    "long text": ({"type": "string", "minLength": 100_000_000}, "requires a value that is too large"),
    "many fields": ({"type": "object", "minProperties": 1_000_000}, "requires a value that is too large"),
    "large items": (
        {"type": "array", "minItems": 100, "items": {"type": "string", "minLength": 50_000}},
        "requires a value that is too large",
    ),
    "nested items": ({"type": "array", "minItems": 9_000, "items": {"type": "array", "minItems": 9_000}}, ""),
    "deep": (_nested(70), "is too complex"),
    "wide": (FAN, ""),
    "doubling": (DOUBLING, "is too complex"),
    "many cases": ({"type": "object", "allOf": CLAUSES, "minProperties": 1}, "is too complex"),
    "long pattern": ({"type": "string", "pattern": "^(a|a)*(?=x)b$", "minLength": 50_000}, "is too complex"),
    "invalid": ({"type": "nonsense"}, "is not valid"),
    "invalid pattern": ({"type": "string", "pattern": "["}, "is not valid"),
    "missing reference": ({"$ref": "#/$defs/a"}, "is not valid"),
    "remote reference": ({"$ref": "https://example.com/a"}, "is not valid"),
}


class TestInstanceOf:
    @pytest.mark.parametrize("name", FITTING)
    def test_returns_the_simplest_value_that_fits(self, name: str) -> None:
        schema, value = FITTING[name]
        text = instance_of(schema)
        assert text == json.dumps(value, ensure_ascii=False)
        assert parse_structured(text, schema) == value

    @pytest.mark.parametrize("name", HOSTILE)
    def test_fails_with_the_reason(self, name: str) -> None:
        schema, reason = HOSTILE[name]
        with pytest.raises(NoInstance) as raised:
            instance_of(schema)
        assert str(raised.value).startswith(reason)

    def test_works_after_a_schema_that_exceeded_the_limits(self) -> None:
        with pytest.raises(NoInstance):
            instance_of(DOUBLING)
        assert instance_of({"type": "integer"}) == "1"

    def test_reads_no_file(self, tmp_path: Path) -> None:
        (tmp_path / "schema.json").write_text('{"const": "secret"}')
        with pytest.raises(NoInstance) as raised:
            instance_of({"$ref": (tmp_path / "schema.json").as_uri()})
        assert "secret" not in str(raised.value)

    def test_keeps_values_within_the_limit_of_an_answer(self) -> None:
        text = instance_of({"type": "array", "items": {"type": "string", "minLength": 80_000}, "minItems": 3})
        assert 240_000 < len(text) <= MAX_BYTES

    def test_omits_optional_properties_that_are_too_large(self) -> None:
        schema = {"type": "object", "properties": {"a": {"const": 1}, "b": {"type": "array", "minItems": 1_000_000}}}
        assert instance_of({**schema, "required": ["a"]}) == '{"a": 1}'

    @pytest.mark.parametrize(
        "pattern",
        [
            r"^(?=.*[A-Z])(?=.*\d)[A-Za-z\d!]{8,}$",
            r"^[\w.+-]+@[\w-]+\.[a-z]{2,}$",
            r"^\+?[1-9]\d{6,14}$",
            r"^#[0-9a-fA-F]{6}$",
            r"^v?\d+\.\d+\.\d+(-[a-z]+)?$",
            r"^[^\s/]+/[^\s/]+$",
            r"^(?!admin$)[a-z]+$",
        ],
    )
    def test_finds_texts_for_usual_patterns(self, pattern: str) -> None:
        schema = {"type": "string", "pattern": pattern}
        assert parse_structured(instance_of(schema), schema)


def _numbers(kind: str, low: int, size: int) -> Schema:
    return {"type": kind, "minimum": low, "maximum": low + size}


def _texts(low: int, size: int) -> Schema:
    return {"type": "string", "minLength": low, "maxLength": low + size}


def _one_of_values(values: list[int | str | None]) -> Schema:
    return {"enum": values}


def _object(properties: Schema, required: list[str], *, closed: bool) -> Schema:
    names = [name for name in required if name in properties]
    return {"type": "object", "properties": properties, "required": names, "additionalProperties": not closed}


def _array(items: Schema, least: int) -> Schema:
    return {"type": "array", "items": items, "minItems": least}


def _any_of(branches: list[Schema]) -> Schema:
    return {"anyOf": branches}


def _merged(inner: Schema, name: str) -> Schema:
    return {"type": "object", "allOf": [{"properties": {name: inner}}], "required": [name]}


NAMES = st.sampled_from(["a", "b", "c", "d"])
SMALL, SIZES = st.integers(-99, 99), st.integers(0, 9)
SCALARS: st.SearchStrategy[Schema] = st.one_of(
    st.builds(_numbers, st.sampled_from(["integer", "number"]), SMALL, SIZES),
    st.builds(_texts, st.integers(0, 20), SIZES),
    st.builds(_one_of_values, st.lists(st.one_of(SMALL, st.text(max_size=5), st.none()), min_size=1)),
)


def _larger(inner: st.SearchStrategy[Schema]) -> st.SearchStrategy[Schema]:
    return st.one_of(
        st.builds(_object, st.dictionaries(NAMES, inner), st.lists(NAMES, unique=True), closed=st.booleans()),
        st.builds(_array, inner, st.integers(0, 4)),
        st.builds(_any_of, st.lists(inner, min_size=1, max_size=3)),
        st.builds(_merged, inner, NAMES),
    )


class TestFindInstance:
    @settings(max_examples=100, deadline=None)
    @given(schema=st.recursive(SCALARS, _larger, max_leaves=8))
    def test_finds_the_same_value_for_every_schema_that_has_one(self, schema: Schema) -> None:
        text = find_instance(schema)
        assert text == find_instance(schema)
        parse_structured(text, schema)


class TestArgumentsOf:
    @pytest.mark.parametrize(
        ("parameters", "arguments"),
        [
            ({}, "{}"),
            ({"properties": {"a": {"const": 1}}, "required": ["a"]}, '{"a": 1}'),
            ({"type": ["object", "null"], "properties": {"a": {"const": 1}}}, '{"a": 1}'),
            ({"$defs": {"a": {"properties": {"b": {"const": 1}}}}, "$ref": "#/$defs/a"}, '{"b": 1}'),
        ],
    )
    def test_are_an_object(self, parameters: Schema, arguments: str) -> None:
        assert arguments_of(parameters) == arguments

    @pytest.mark.parametrize("parameters", [{"type": "string"}, {"type": "array"}, {"const": 1}])
    def test_fails_if_no_object_fits(self, parameters: Schema) -> None:
        with pytest.raises(NoInstance):
            arguments_of(parameters)
