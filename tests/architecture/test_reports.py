"""Every reported problem has a test."""

from pathlib import Path

from tests.architecture.source import ROOT
from tests.reports import ROWS, marked_rows

MARKED = marked_rows(ROOT / "tests")


def test_every_row_has_a_test() -> None:
    assert [row for row in ROWS if row not in MARKED] == []


def test_every_mark_names_a_row() -> None:
    assert {row: tests for row, tests in MARKED.items() if row not in ROWS} == {}


def test_marks_of_functions_and_classes_are_found(tmp_path: Path) -> None:
    (tmp_path / "test_sample.py").write_text(
        "@pytest.mark.report(1, '14a')\nclass TestOne:\n    @pytest.mark.report(2)\n    def test_two(self): ...\n"
    )
    assert marked_rows(tmp_path) == {
        1: ["test_sample.py:TestOne"],
        "14a": ["test_sample.py:TestOne"],
        2: ["test_sample.py:test_two"],
    }
