"""The log lines of the mesh's functions, each read once, however many there are."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types_boto3_logs import CloudWatchLogsClient

MAX_EVENTS = 10_000
"""The engine returns the oldest events of a group, at most as many as this, and no token for the others."""
_LATE_MS = 10_000
"""An event can appear this long after newer ones."""


@dataclass
class LogReader:
    """A reader of log groups that continues where it stopped."""

    logs: "CloudWatchLogsClient"
    since_ms: int = 0
    """The time of the oldest events to read, in milliseconds since 1970."""
    _next_ms: dict[str, int] = field(default_factory=dict[str, int])
    """The time of the newest event by group, less a margin for those that appear late."""
    _read: dict[str, Counter[str]] = field(default_factory=dict[str, Counter[str]])
    """The number of events that were read, by group and stream."""

    def messages(self, function: str) -> Iterator[str]:
        """Yield the messages of a function that were not read before."""
        group = f"/aws/lambda/{function}"
        while True:
            start_ms = self._next_ms.get(group, self.since_ms)
            events = self._events(group, start_ms)
            yield from self._new(group, events)
            if len(events) < MAX_EVENTS:
                newest_ms = events[-1][1] if events else start_ms
                self._next_ms[group] = max(start_ms, newest_ms - _LATE_MS)
                return
            assert events[-1][1] > start_ms, f"more than {MAX_EVENTS} log events of {function} at {start_ms}"
            self._next_ms[group] = events[-1][1]

    def _new(self, group: str, events: list[tuple[str, int, str]]) -> Iterator[str]:
        """Yield the messages that were not read before.

        All events of a stream have one time, since each invocation has a stream. So they are read together, or
        continued at the same time.
        """
        read = self._read.setdefault(group, Counter())
        seen = Counter[str]()
        for stream, _, message in events:
            seen[stream] += 1
            if seen[stream] > read[stream]:
                read[stream] = seen[stream]
                yield message

    def _events(self, group: str, start_ms: int) -> list[tuple[str, int, str]]:
        """Return the stream, time and message of the events since a time, oldest first."""
        try:
            found = self.logs.filter_log_events(logGroupName=group, startTime=start_ms, limit=MAX_EVENTS)["events"]
        except self.logs.exceptions.ResourceNotFoundException:
            return []
        return [
            (event.get("logStreamName", ""), event.get("timestamp", 0), event.get("message", "").strip())
            for event in found
        ]
