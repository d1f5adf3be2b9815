"""Log lines: each once, in the order of time."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from cli.errors import Refused
from cli.logs import format_line, lines_of, seconds_of


class _Gone(Exception):
    pass


class _Exceptions:
    ResourceNotFoundException = _Gone


@dataclass
class _Logs:
    """Log groups, with one look's lines after the other's."""

    looks: list[dict[str, list[dict[str, Any]]]]
    exceptions: type[_Exceptions] = _Exceptions
    asked: int = field(default=0)

    def get_paginator(self, operation: str) -> "_Logs":
        assert operation == "filter_log_events"
        return self

    def paginate(self, *, logGroupName: str, startTime: int) -> Iterator[dict[str, Any]]:  # noqa: N803 — boto3's names
        assert startTime >= 0
        groups = self.looks[min(self.asked // 2, len(self.looks) - 1)]
        self.asked += 1
        if logGroupName not in groups:
            raise _Gone
        return iter([{"events": groups[logGroupName]}])


def _line(at: int, message: str, event_id: str | None = None) -> dict[str, Any]:
    line = {"timestamp": at, "message": message, "logStreamName": "s"}
    return {**line, "eventId": event_id} if event_id else line


class TestLinesOf:
    def test_mixes_the_groups_by_time(self) -> None:
        logs: Any = _Logs([{"a": [_line(1, "one", "1"), _line(3, "three", "3")], "b": [_line(2, "two", "2")]}])
        found = list(lines_of(logs, ["a", "b"], begin_ms=0, follow=False))
        assert [(line["group"], line["message"]) for line in found] == [("a", "one"), ("b", "two"), ("a", "three")]

    def test_follows_with_each_line_once_also_without_ids(self) -> None:
        first = {"a": [_line(1, "one")], "b": []}
        logs: Any = _Logs([first, {"a": [_line(1, "one"), _line(1, "late")], "b": [_line(2, "two")]}])
        following = lines_of(logs, ["a", "b"], begin_ms=0, follow=True)
        assert [next(following)["message"] for _ in range(3)] == ["one", "late", "two"]

    def test_leaves_a_group_out_that_has_no_logs_yet(self) -> None:
        logs: Any = _Logs([{"a": [_line(1, "one")]}])
        assert len(list(lines_of(logs, ["a", "b"], begin_ms=0, follow=False))) == 1


_LINE = {"timestamp": 1_500, "message": "said\n", "group": "/aws/lambda/ainexus-dev-api"}


class TestFormatLine:
    def test_has_its_time_and_its_function(self) -> None:
        assert format_line(_LINE, as_json=False) == "00:00:01.500 ainexus-dev-api  said"

    def test_is_what_the_function_said_in_json(self) -> None:
        said = json.loads(format_line(_LINE, as_json=True))
        assert (said["message"], said["function"]) == ("said", "ainexus-dev-api")


class TestSecondsOf:
    @pytest.mark.parametrize(("text", "seconds"), [("30s", 30), ("10m", 600), ("2h", 7200), ("1d", 86400)])
    def test_reads_units(self, text: str, seconds: int) -> None:
        assert seconds_of(text) == seconds

    @pytest.mark.parametrize("text", ["10", "m", "-1m", "1w", ""])
    def test_refuses_what_is_no_duration(self, text: str) -> None:
        with pytest.raises(Refused, match="no duration"):
            seconds_of(text)
