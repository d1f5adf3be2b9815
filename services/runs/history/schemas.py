"""The logs and traces of runs in responses."""

from collections.abc import Sequence
from typing import Any, Self

from services.runs.history.domain import log as history
from services.runs.history.domain import trace as domain
from shared.http.responses import ResponseBody
from shared.schema import DocumentedModel
from shared.times import Rfc3339


class RunLogEntry(DocumentedModel):
    """An event in the history of a run."""

    at: Rfc3339
    event: history.EntryKind
    attempt: int | None
    """The number of the attempt; null for entries outside of an attempt."""
    details: dict[str, Any]
    """Facts of the entry, depending on `event`. They contain no inputs or outputs."""


class RunLogsResponse(ResponseBody):
    """The history of a run, in order."""

    logs: list[RunLogEntry]

    @classmethod
    def of(cls, entries: Sequence[history.LogRecord]) -> Self:
        """Return the response with these entries."""
        return cls(
            logs=[
                RunLogEntry(at=entry.at, event=entry.event, attempt=entry.attempt, details=dict(entry.details))
                for entry in entries
            ]
        )


class RunSpan(DocumentedModel):
    """A time span within a run."""

    span_id: str
    """16 hex digits."""
    parent_span_id: str | None
    """Null for the span of the run."""
    name: str
    kind: str
    """`client` for a call to a provider, otherwise `internal`."""
    status: str
    """`ok`, `error`, or `unset` until the span ends."""
    started_at: Rfc3339
    ended_at: Rfc3339 | None
    """Null until the span ends."""
    attributes: dict[str, str | int | bool | list[str]]
    """The names of OpenTelemetry's conventions for generative AI, and others under `ainexus.`."""


class RunTrace(DocumentedModel):
    """The trace of a run."""

    trace_id: str
    """32 hex digits; the caller's trace id if the run was created with a `traceparent`."""
    spans: list[RunSpan]


class RunTraceResponse(ResponseBody):
    """The trace of a run."""

    trace: RunTrace

    @classmethod
    def of(cls, trace_id: str, spans: Sequence[domain.TraceSpan]) -> Self:
        """Return the response with this trace."""
        return cls(trace=RunTrace(trace_id=trace_id, spans=[_span(span) for span in spans]))


def _span(span: domain.TraceSpan) -> RunSpan:
    return RunSpan(
        span_id=span.span_id,
        parent_span_id=span.parent_span_id,
        name=span.name,
        kind=span.kind,
        status="error" if span.failed else "ok" if span.ended_at else "unset",
        started_at=span.started_at,
        ended_at=span.ended_at,
        attributes=dict(span.attributes),
    )
