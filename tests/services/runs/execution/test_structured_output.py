"""Structured output."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from services.runs.domain.structure import MAX_VALUES, DoesNotFit, TooComplex, structured

BRANCHING = {
    "$defs": {"n": {"properties": {"a": {"anyOf": [{"$ref": "#/$defs/n"}] * 2}}, "not": {"required": ["z"]}}},
    "$ref": "#/$defs/n",
}
"""Doubles the work of a validator with each level of the answer."""
DOUBLING = {
    "$defs": {f"n{level}": {"allOf": [{"$ref": f"#/$defs/n{level + 1}"}] * 2} for level in range(60)} | {"n60": {}},
    "$ref": "#/$defs/n0",
}
"""Doubles it with each level of the schema."""


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
    def test_what_exceeds_them_is_too_complex_and_the_next_answer_is_judged(
        self, text: str, schema: dict[str, Any]
    ) -> None:
        with pytest.raises(TooComplex):
            structured(text, schema)
        assert structured('{"a": 1}', {"type": "object"}) == {"a": 1}

    def test_a_long_answer_within_them_fits(self) -> None:
        row = {"name": "x" * 100, "tags": ["a", "b"], "size": 1.5}
        properties = {"name": {"type": "string"}, "tags": {"items": {"type": "string"}}, "size": {"type": "number"}}
        answer = [row] * 7_000
        assert structured(json.dumps(answer), {"items": {"properties": properties}}) == answer

    def test_a_string_is_one_value_whatever_is_in_it(self) -> None:
        answer = {"text": ',{["\\' * MAX_VALUES}
        assert structured(json.dumps(answer), {}) == answer

    def test_a_recursive_schema_that_does_not_branch_fits(self) -> None:
        tree = {"type": "object", "properties": {"children": {"items": {"$ref": "#"}}}, "required": ["name"]}
        node: dict[str, Any] = {"name": "leaf"}
        for _ in range(20):
            node = {"name": "node", "children": [node]}
        assert structured(json.dumps(node), tree) == node


class TestStructured:
    @pytest.mark.parametrize("text", ['{"n": "\\ud800"}', '{"n": "\\u0000"}', '{"a":' * 65 + "1" + "}" * 65, "9" * 30])
    def test_refuses_what_cannot_be_written_everywhere(self, text: str) -> None:
        with pytest.raises(DoesNotFit):
            structured(text, {})

    @pytest.mark.parametrize("schema", [{"type": "strng"}, {"multipleOf": 0}, {"properties": {"a": {"pattern": "["}}}])
    def test_refuses_every_answer_to_a_schema_that_is_none(self, schema: dict[str, Any]) -> None:
        with pytest.raises(DoesNotFit):
            structured('{"a": "b"}', schema)

    @pytest.mark.parametrize("text", ["NaN", '{"n": Infinity}', '{"n": 1e400}', "[" * 100_000, "1" * 5_000])
    def test_refuses_what_python_reads_and_json_has_not(self, text: str) -> None:
        with pytest.raises(DoesNotFit):
            structured(text, {})

    def test_reads_no_file_that_a_schema_names(self, tmp_path: Path) -> None:
        schema = tmp_path / "schema.json"
        schema.write_text("true")
        with pytest.raises(DoesNotFit):
            structured("1", {"$ref": schema.as_uri()})

    def test_asks_no_server_that_a_schema_names(self) -> None:
        asked: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                self.send_error(404)

        with HTTPServer(("127.0.0.1", 0), Handler) as server:
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
            with pytest.raises(DoesNotFit):
                structured("1", {"$ref": f"http://127.0.0.1:{server.server_address[1]}/next"})
            server.shutdown()
        assert asked == []
