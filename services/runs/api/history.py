"""What logs and traces of runs look like in answers."""

from collections.abc import Sequence
from typing import Any, Self

from pydantic import BaseModel

from services.runs.domain import history
from services.runs.domain import trace as domain
from shared.http.answers import Answer
from shared.times import Rfc3339


class LogEntry(BaseModel):
    """One thing that happened to a run."""

    at: Rfc3339
    event: history.Happening
    attempt: int | None
    details: dict[str, Any]


class LogsAnswer(Answer):
    """All that happened to a run, in order."""

    logs: list[LogEntry]

    @classmethod
    def of(cls, entries: Sequence[history.Entry]) -> Self:
        """As they are shown."""
        return cls(
            logs=[
                LogEntry(at=one.at, event=one.event, attempt=one.attempt, details=dict(one.details)) for one in entries
            ]
        )


class Span(BaseModel):
    """One stretch of time in a run."""

    span_id: str
    parent_span_id: str | None
    name: str
    kind: str
    status: str
    """`ok`, `error`, or `unset` while it goes on."""
    started_at: Rfc3339
    ended_at: Rfc3339 | None
    attributes: dict[str, str | int | bool]


class Trace(BaseModel):
    """The trace of a run."""

    trace_id: str
    """32 hex digits; the caller's, where the run was made with a `traceparent`."""
    spans: list[Span]


class TraceAnswer(Answer):
    """The trace of a run."""

    trace: Trace

    @classmethod
    def of(cls, trace_id: str, spans: Sequence[domain.Span]) -> Self:
        """As it is shown."""
        return cls(trace=Trace(trace_id=trace_id, spans=[_span(span) for span in spans]))


def _span(span: domain.Span) -> Span:
    return Span(
        span_id=span.span_id,
        parent_span_id=span.parent_span_id,
        name=span.name,
        kind=span.kind,
        status="error" if span.failed else "ok" if span.ended_at else "unset",
        started_at=span.started_at,
        ended_at=span.ended_at,
        attributes=dict(span.attributes),
    )
