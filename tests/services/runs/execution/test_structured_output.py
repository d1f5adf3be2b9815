"""Structured output."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from services.runs.execution.domain.structured_output import (
    MAX_VALUES,
    OutputTooComplex,
    SchemaMismatch,
    parse_structured,
)

BRANCHING = {
    "$defs": {"n": {"properties": {"a": {"anyOf": [{"$ref": "#/$defs/n"}] * 2}}, "not": {"required": ["z"]}}},
    "$ref": "#/$defs/n",
}
"""A schema that doubles the work of a validator with each level of the response."""
DOUBLING = {
    "$defs": {f"n{level}": {"allOf": [{"$ref": f"#/$defs/n{level + 1}"}] * 2} for level in range(60)} | {"n60": {}},
    "$ref": "#/$defs/n0",
}
"""A schema that doubles the work with each of its levels."""


class TestLimits:
    @pytest.mark.parametrize(
        ("text", "schema"),
        [
            ('{"a":' * 40 + '{"z":1}' + "}" * 40, BRANCHING),
            ("1", DOUBLING),
            (json.dumps([0] * MAX_VALUES), {}),
            (json.dumps([[]] * 1_000_000), {}),
        ],
        ids=["recursive schema", "doubling schema", "many values", "large answer"],
    )
    def test_excess_is_too_complex_and_the_next_response_is_validated(self, text: str, schema: dict[str, Any]) -> None:
        with pytest.raises(OutputTooComplex):
            parse_structured(text, schema)
        assert parse_structured('{"a": 1}', {"type": "object"}) == {"a": 1}

    def test_accept_a_long_response(self) -> None:
        row = {"name": "x" * 100, "tags": ["a", "b"], "size": 1.5}
        properties = {"name": {"type": "string"}, "tags": {"items": {"type": "string"}}, "size": {"type": "number"}}
        answer = [row] * 7_000
        assert parse_structured(json.dumps(answer), {"items": {"properties": properties}}) == answer

    def test_count_a_string_as_one_value(self) -> None:
        answer = {"text": ',{["\\' * MAX_VALUES}
        assert parse_structured(json.dumps(answer), {}) == answer

    def test_accept_a_recursive_schema_without_branches(self) -> None:
        tree = {"type": "object", "properties": {"children": {"items": {"$ref": "#"}}}, "required": ["name"]}
        node: dict[str, Any] = {"name": "leaf"}
        for _ in range(20):
            node = {"name": "node", "children": [node]}
        assert parse_structured(json.dumps(node), tree) == node


class TestParseStructured:
    @pytest.mark.parametrize("text", ['{"n": "\\ud800"}', '{"n": "\\u0000"}', '{"a":' * 65 + "1" + "}" * 65, "9" * 30])
    def test_refuses_text_that_cannot_be_encoded(self, text: str) -> None:
        with pytest.raises(SchemaMismatch):
            parse_structured(text, {})

    @pytest.mark.parametrize("schema", [{"type": "strng"}, {"multipleOf": 0}, {"properties": {"a": {"pattern": "["}}}])
    def test_refuses_every_response_to_an_invalid_schema(self, schema: dict[str, Any]) -> None:
        with pytest.raises(SchemaMismatch):
            parse_structured('{"a": "b"}', schema)

    @pytest.mark.parametrize("text", ["NaN", '{"n": Infinity}', '{"n": 1e400}', "[" * 100_000, "1" * 5_000])
    def test_refuses_python_literals_that_are_not_json(self, text: str) -> None:
        with pytest.raises(SchemaMismatch):
            parse_structured(text, {})

    def test_reads_no_file_referenced_by_a_schema(self, tmp_path: Path) -> None:
        schema = tmp_path / "schema.json"
        schema.write_text("true")
        with pytest.raises(SchemaMismatch):
            parse_structured("1", {"$ref": schema.as_uri()})

    def test_fetches_no_url_referenced_by_a_schema(self) -> None:
        asked: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                self.send_error(404)

        with HTTPServer(("127.0.0.1", 0), Handler) as server:
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
            with pytest.raises(SchemaMismatch):
                parse_structured("1", {"$ref": f"http://127.0.0.1:{server.server_address[1]}/next"})
            server.shutdown()
        assert asked == []
