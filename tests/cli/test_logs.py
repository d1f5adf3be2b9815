"""Log lines: each once, by time."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from cli.errors import CommandRefused
from cli.logs import format_line, parse_duration, read_lines


class _NoSuchLogGroup(Exception):
    pass


class _LogsExceptions:
    ResourceNotFoundException = _NoSuchLogGroup


@dataclass
class _Logs:
    """Log groups whose lines differ in each round of requests."""

    rounds: list[dict[str, list[dict[str, Any]]]]
    exceptions: type[_LogsExceptions] = _LogsExceptions
    requests: int = field(default=0)

    def get_paginator(self, operation: str) -> "_Logs":
        assert operation == "filter_log_events"
        return self

    def paginate(self, *, logGroupName: str, startTime: int) -> Iterator[dict[str, Any]]:  # noqa: N803 — boto3's names
        assert startTime >= 0
        groups = self.rounds[min(self.requests // 2, len(self.rounds) - 1)]
        self.requests += 1
        if logGroupName not in groups:
            raise _NoSuchLogGroup
        return iter([{"events": groups[logGroupName]}])


def _line(at: int, message: str, event_id: str | None = None) -> dict[str, Any]:
    line = {"timestamp": at, "message": message, "logStreamName": "s"}
    return {**line, "eventId": event_id} if event_id else line


class TestReadLines:
    def test_merges_the_groups_by_time(self) -> None:
        logs: Any = _Logs([{"a": [_line(1, "one", "1"), _line(3, "three", "3")], "b": [_line(2, "two", "2")]}])
        found = list(read_lines(logs, ["a", "b"], begin_ms=0, follow=False))
        assert [(line["group"], line["message"]) for line in found] == [("a", "one"), ("b", "two"), ("a", "three")]

    def test_follows_with_each_line_once_even_without_ids(self) -> None:
        first = {"a": [_line(1, "one")], "b": []}
        logs: Any = _Logs([first, {"a": [_line(1, "one"), _line(1, "late")], "b": [_line(2, "two")]}])
        following = read_lines(logs, ["a", "b"], begin_ms=0, follow=True)
        assert [next(following)["message"] for _ in range(3)] == ["one", "late", "two"]

    def test_treats_a_missing_group_as_empty(self) -> None:
        logs: Any = _Logs([{"a": [_line(1, "one")]}])
        assert len(list(read_lines(logs, ["a", "b"], begin_ms=0, follow=False))) == 1


_LINE = {"timestamp": 1_500, "message": "text\n", "group": "/aws/lambda/ainexus-dev-api"}


class TestFormatLine:
    def test_has_time_and_function(self) -> None:
        assert format_line(_LINE, as_json=False) == "00:00:01.500 ainexus-dev-api  text"

    def test_has_message_and_function_in_json(self) -> None:
        printed = json.loads(format_line(_LINE, as_json=True))
        assert (printed["message"], printed["function"]) == ("text", "ainexus-dev-api")


class TestParseDuration:
    @pytest.mark.parametrize(("text", "seconds"), [("30s", 30), ("10m", 600), ("2h", 7200), ("1d", 86400)])
    def test_reads_units(self, text: str, seconds: int) -> None:
        assert parse_duration(text) == seconds

    @pytest.mark.parametrize("text", ["10", "m", "-1m", "1w", ""])
    def test_refuses_other_text(self, text: str) -> None:
        with pytest.raises(CommandRefused, match="is not a duration"):
            parse_duration(text)
