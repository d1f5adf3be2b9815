"""The reader of log lines reads each line once, also from groups with more events than a request returns."""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from tests.journeys import log_reader
from tests.journeys.log_reader import LogReader

FUNCTION = "f"


class Missing(Exception):
    """The group does not exist."""


@dataclass
class FakeLogs:
    """Log groups that return their oldest events, as the engine does."""

    events: list[tuple[int, str, str]] | None = field(default_factory=list[tuple[int, str, str]])
    """The time, stream and message of each event; None without the group."""
    exceptions: Any = field(default_factory=lambda: SimpleNamespace(ResourceNotFoundException=Missing))

    def filter_log_events(self, *, logGroupName: str, startTime: int, limit: int) -> dict[str, Any]:  # noqa: N803 — as boto3 names them
        """Return the oldest events since a time."""
        if self.events is None:
            raise Missing(logGroupName)
        found = sorted((one for one in self.events if one[0] >= startTime), key=lambda one: one[0])[:limit]
        return {"events": [{"timestamp": at, "logStreamName": name, "message": text} for at, name, text in found]}

    def invoke(self, at_ms: int, *messages: str) -> None:
        """Add the events of an invocation."""
        assert self.events is not None
        self.events += [(at_ms, f"stream of {messages[0]}", message) for message in messages]


@pytest.fixture(name="logs")
def make_logs(monkeypatch: pytest.MonkeyPatch) -> FakeLogs:
    """Return empty logs, of which a request returns three events."""
    monkeypatch.setattr(log_reader, "MAX_EVENTS", 3)
    return FakeLogs()


def reader_of(logs: FakeLogs, since_ms: int = 0) -> LogReader:
    fake: Any = logs
    return LogReader(fake, since_ms)


class TestLogReader:
    def test_reads_more_events_than_a_request_returns(self, logs: FakeLogs) -> None:
        for number in range(7):
            logs.invoke(number, f"{number} begins", f"{number} ends")
        read = list(reader_of(logs).messages(FUNCTION))
        assert read == [f"{number} {what}" for number in range(7) for what in ("begins", "ends")]

    def test_reads_each_event_once(self, logs: FakeLogs) -> None:
        reader = reader_of(logs)
        logs.invoke(1, "a")
        assert list(reader.messages(FUNCTION)) == ["a"]
        logs.invoke(1, "b")
        logs.invoke(2, "c", "c")
        assert list(reader.messages(FUNCTION)) == ["b", "c", "c"]
        assert list(reader.messages(FUNCTION)) == []

    def test_reads_an_event_that_appears_after_newer_ones(self, logs: FakeLogs) -> None:
        reader = reader_of(logs)
        logs.invoke(20_000, "new")
        assert list(reader.messages(FUNCTION)) == ["new"]
        logs.invoke(19_000, "late")
        assert list(reader.messages(FUNCTION)) == ["late"]

    def test_reads_no_older_events(self, logs: FakeLogs) -> None:
        logs.invoke(1, "old")
        logs.invoke(2, "new")
        assert list(reader_of(logs, since_ms=2).messages(FUNCTION)) == ["new"]

    def test_reads_nothing_of_a_function_that_never_ran(self) -> None:
        assert list(reader_of(FakeLogs(None)).messages(FUNCTION)) == []
