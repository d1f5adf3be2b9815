"""Output of commands."""

import json

import pytest

from cli.output import show, table
from cli.target import Target


class TestOutputTable:
    def test_aligns_the_columns(self) -> None:
        rows = [{"a": "long value", "b": None}, {"a": "x", "b": 12}]
        assert table(rows, ("a", "b"), empty="none") == ["a           b", "long value  -", "x           12"]

    def test_is_the_given_line_without_rows(self) -> None:
        assert table([], ("a",), empty="none") == ["none"]


class TestShow:
    def test_prints_lines_or_json(self, capsys: pytest.CaptureFixture[str]) -> None:
        show(Target("local"), {"a": 1}, ["one", "two"])
        assert capsys.readouterr().out == "one\ntwo\n"
        show(Target("local", as_json=True), {"a": 1}, ["one"])
        assert json.loads(capsys.readouterr().out) == {"a": 1}
