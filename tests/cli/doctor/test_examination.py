"""Running the checks of the doctor."""

from collections.abc import Iterator
from typing import Any

import pytest

from cli.doctor.checks import CheckResult, Level
from cli.doctor.examination import examine, format_result
from cli.errors import CommandRefused
from cli.target import Target


def _good(_: Target) -> Iterator[CheckResult]:
    yield CheckResult(Level.OK, "fine")


def _bad(_: Target) -> Iterator[CheckResult]:
    yield CheckResult(Level.TROUBLE, "broken", "fix it")


def _unreachable(_: Target) -> Iterator[CheckResult]:
    msg = "Not deployed."
    yield from (_ for _ in ())
    raise CommandRefused(msg)


def _defective(_: Target) -> Iterator[CheckResult]:
    yield from (_ for _ in ())
    raise ZeroDivisionError


ANY: Any = None


class TestExamine:
    def test_runs_all_checks(self) -> None:
        found = list(examine(ANY, {"a": _good}, {"b": _bad, "c": _good}))
        assert [(name, one.level) for name, one in found] == [("a", "ok"), ("b", "trouble"), ("c", "ok")]

    def test_stops_after_a_failed_prerequisite(self) -> None:
        assert [name for name, _ in examine(ANY, {"a": _bad, "b": _good}, {"c": _good})] == ["a"]

    def test_continues_after_a_check_that_cannot_run(self) -> None:
        found = list(examine(ANY, {}, {"a": _unreachable, "b": _good}))
        assert [one.message for _, one in found] == ["This check cannot run: Not deployed.", "fine"]

    def test_raises_a_defect_of_this_program(self) -> None:
        with pytest.raises(ZeroDivisionError):
            list(examine(ANY, {}, {"a": _defective}))


class TestFormatResult:
    def test_has_the_advice_on_a_second_line(self) -> None:
        assert format_result("queues", CheckResult(Level.TROUBLE, "stuck", "look")).splitlines() == [
            "✗ queues       stuck",
            "               → look",
        ]
