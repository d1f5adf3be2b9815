"""The history of a run, in order. It is derived from the run and contains no text of inputs or answers."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from services.runs.runs.domain.run import Attempt, Call, Outcome, Run

EntryKind = Literal[
    "queued",
    "leased",
    "call_started",
    "call_ended",
    "tools_required",
    "worker_lost",
    "completed",
    "failed",
    "cancelled",
]


NAME_CHARS = 200
"""Logs and traces show this many characters of a tool's name and of a tool call's id, which the model chooses."""


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One event in the history of a run."""

    at: datetime
    event: EntryKind
    attempt: int | None = None
    details: Mapping[str, object] = field(default_factory=dict[str, object])


def entries(run: Run) -> list[LogRecord]:
    """Return the history up to now, oldest first."""
    return list(_entries(run))


def _entries(run: Run) -> Iterator[LogRecord]:
    for number, queued_at in enumerate(run.queued_at, start=1):
        yield LogRecord(queued_at, "queued", details=_reason(run, number))
        if number <= run.attempt:
            yield from _attempt(run, number, run.attempts[number - 1], waited_since=queued_at)
    if run.ended_at:
        failed = {"error_code": run.error.code} if run.error else {}
        yield LogRecord(run.ended_at, _ENDS[run.status.value], details=failed)


_ENDS: dict[str, EntryKind] = {"completed": "completed", "failed": "failed", "cancelled": "cancelled"}


def _reason(run: Run, number: int) -> dict[str, object]:
    """Return why the run waits for a worker again."""
    if number == 1:
        return {}
    before = run.attempts[number - 2]
    return {"after": "tool_outputs" if before.outcome is Outcome.REQUIRES_ACTION else "worker_lost"}


def _attempt(run: Run, number: int, attempt: Attempt, *, waited_since: datetime) -> Iterator[LogRecord]:
    waited_ms = int((attempt.leased_at - waited_since).total_seconds() * 1000)
    yield LogRecord(attempt.leased_at, "leased", number, {"waited_ms": waited_ms})
    before: Call | None = None
    for call in attempt.calls:
        yield LogRecord(call.started_at, "call_started", number, _started(call, before))
        yield LogRecord(call.ended_at, "call_ended", number, _ended(call))
        before = call
    current = run.open_call if number == run.attempt and attempt.outcome is Outcome.RUNNING else None
    if current and run.call_started_at:
        details = {"call": current.number, "provider": current.provider, "model": current.model}
        yield LogRecord(run.call_started_at, "call_started", number, {**details, **_cause(before)})
    if attempt.outcome is Outcome.REQUIRES_ACTION and attempt.ended_at:
        yield LogRecord(attempt.ended_at, "tools_required", number, {"tools": _tools(run, number)})
    if attempt.outcome is Outcome.LOST and attempt.ended_at:
        yield LogRecord(attempt.ended_at, "worker_lost", number)


def _started(call: Call, before: Call | None) -> dict[str, object]:
    return {"call": call.number, "provider": call.provider, "model": call.model, **_cause(before)}


def _cause(before: Call | None) -> dict[str, object]:
    """Return the reason for another call: the previous one failed, or its answer did not conform to the schema."""
    return {"after": before.error_code or "OutputInvalid"} if before else {}


def _ended(call: Call) -> dict[str, object]:
    details: dict[str, object] = {
        "call": call.number,
        "status": call.status.value,
        **{meter.value: amount for meter, amount in call.meters.items()},
        "cost_nano_usd": call.cost_nano_usd,
    }
    if call.finish_reason:
        details["finish_reason"] = call.finish_reason.value
    return details | ({"error_code": call.error_code} if call.error_code else {})


def _tools(run: Run, number: int) -> list[dict[str, str]]:
    """Return the tool calls that ended this attempt."""
    turns_with_calls = [turn for turn in run.turns if turn.tool_calls]
    turn_index = sum(attempt.outcome is Outcome.REQUIRES_ACTION for attempt in run.attempts[: number - 1])
    return [
        {"id": call.id[:NAME_CHARS], "name": call.name[:NAME_CHARS]} for call in turns_with_calls[turn_index].tool_calls
    ]
