"""JSON Schemas that can be used, and those that are refused before a call is paid for."""

import socket
from typing import Any, NoReturn

import pytest

from services.agents.json_schemas.domain.schemas import InvalidSchema, check_schema

DRAFT_7 = "http://json-schema.org/draft-07/schema#"

pytestmark = pytest.mark.report(20)


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        pytest.fail("the check uses the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)


class TestCheckSchema:
    @pytest.mark.parametrize(
        ("schema", "pointer"),
        [
            ({"type": "nonsense"}, "/type"),
            ({"properties": "x"}, "/properties"),
            ({"properties": {"a/b": {"items": {"minimum": "x"}}}}, "/properties/a~1b/items/minimum"),
            ({"required": "x"}, "/required"),
            ({"$ref": "https://example.com/schema.json"}, "/$ref"),
            ({"$ref": "file:///etc/passwd"}, "/$ref"),
            ({"$ref": "other.json#/a"}, "/$ref"),
            ({"properties": {"a": {"anyOf": [{"$ref": "https://example.com"}]}}}, "/properties/a/anyOf/0/$ref"),
            ({"properties": {"default": {"$ref": "https://example.com"}}}, "/properties/default/$ref"),
            ({"$dynamicRef": "https://example.com#meta"}, "/$dynamicRef"),
            ({"$ref": "#/$defs/missing"}, "/$ref"),
            ({"$ref": "#missing"}, "/$ref"),
            ({"$ref": "#/required", "required": ["a"]}, "/$ref"),
            ({"pattern": "("}, "/pattern"),
            ({"patternProperties": {"[": {}}}, "/patternProperties/["),
            ({"$schema": "http://127.0.0.1:1/schema"}, "/$schema"),
            ({"$schema": 5}, "/$schema"),
            ({"$defs": {"a": {"$schema": "http://127.0.0.1:1/schema"}}}, "/$defs/a/$schema"),
        ],
        ids=str,
    )
    def test_refuses_with_the_pointer(self, schema: dict[str, Any], pointer: str) -> None:
        with pytest.raises(InvalidSchema) as refused:
            check_schema(schema)
        assert str(refused.value).startswith(f"at {pointer}: ")

    @pytest.mark.parametrize(
        "schema",
        [
            {},
            {"type": "object", "properties": {"a": {"type": ["string", "null"]}}, "additionalProperties": False},
            {"$schema": DRAFT_7, "definitions": {"a": {"type": "string"}}, "items": [{"$ref": "#/definitions/a"}]},
            {"$defs": {"tree": {"properties": {"left": {"$ref": "#/$defs/tree"}}}}, "$ref": "#/$defs/tree"},
            {"$defs": {"a": {"$anchor": "here"}}, "$ref": "#here"},
            {"$ref": "#"},
            {"pattern": "^(?=.*[0-9])[a-z]+$"},
            {"default": {"$ref": "https://example.com"}, "enum": [{"pattern": "("}], "x-own": {"type": "nonsense"}},
        ],
        ids=str,
    )
    def test_accepts(self, schema: dict[str, Any]) -> None:
        assert check_schema(schema) is schema

    def test_takes_linear_time_for_nested_references(self) -> None:
        defs = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(60)}
        check_schema({"$defs": {**defs, "d60": {}}, "$ref": "#/$defs/d0"})


SLOW = {f"p{number}": {"pattern": rf"\p{{L}}{{100}}{number}"} for number in range(500)}
"""Compiling them takes some 10 s."""


class TestHostilePatterns:
    def test_are_refused_at_the_limit_of_the_child_process(self) -> None:
        with pytest.raises(InvalidSchema, match="at its root: its patterns take too long to compile"):
            check_schema({"properties": SLOW})

    def test_do_not_affect_the_next_schema(self) -> None:
        with pytest.raises(InvalidSchema):
            check_schema({"properties": SLOW})
        check_schema({"pattern": "^[a-z]+$"})

    def test_are_named_by_their_place(self) -> None:
        good = {f"p{number}": {"pattern": f"^{number}$"} for number in range(50)}
        with pytest.raises(InvalidSchema, match="at /properties/bad/pattern: is no regular expression"):
            check_schema({"properties": {**good, "bad": {"pattern": "["}}})
