"""What happened to a run, in order: told from the run itself, and without a word of what was asked or answered."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from services.runs.domain.run import Attempt, Call, Outcome, Run

Happening = Literal[
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
"""Of what a model calls a tool, or its call, that logs and traces show."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened."""

    at: datetime
    event: Happening
    attempt: int | None = None
    details: Mapping[str, object] = field(default_factory=dict[str, object])


def entries(run: Run) -> list[Entry]:
    """All that happened so far."""
    return list(_entries(run))


def _entries(run: Run) -> Iterator[Entry]:
    for number, queued_at in enumerate(run.queued_at, start=1):
        yield Entry(queued_at, "queued", details=_reason(run, number))
        if number <= run.attempt:
            yield from _attempt(run, number, run.attempts[number - 1], waited_since=queued_at)
    if run.ended_at:
        failed = {"error_code": run.error.code} if run.error else {}
        yield Entry(run.ended_at, _ENDS[run.status.value], details=failed)


_ENDS: dict[str, Happening] = {"completed": "completed", "failed": "failed", "cancelled": "cancelled"}


def _reason(run: Run, number: int) -> dict[str, object]:
    """Why the run waits for a worker again."""
    if number == 1:
        return {}
    before = run.attempts[number - 2]
    return {"after": "tool_outputs" if before.outcome is Outcome.REQUIRES_ACTION else "worker_lost"}


def _attempt(run: Run, number: int, attempt: Attempt, *, waited_since: datetime) -> Iterator[Entry]:
    waited_ms = int((attempt.leased_at - waited_since).total_seconds() * 1000)
    yield Entry(attempt.leased_at, "leased", number, {"waited_ms": waited_ms})
    before: Call | None = None
    for call in attempt.calls:
        yield Entry(call.started_at, "call_started", number, _started(call, before))
        yield Entry(call.ended_at, "call_ended", number, _ended(call))
        before = call
    current = run.open_call if number == run.attempt and attempt.outcome is Outcome.RUNNING else None
    if current and run.call_started_at:
        details = {"call": current.number, "provider": current.provider, "model": current.model}
        yield Entry(run.call_started_at, "call_started", number, {**details, **_cause(before)})
    if attempt.outcome is Outcome.REQUIRES_ACTION and attempt.ended_at:
        yield Entry(attempt.ended_at, "tools_required", number, {"tools": _tools(run, number)})
    if attempt.outcome is Outcome.LOST and attempt.ended_at:
        yield Entry(attempt.ended_at, "worker_lost", number)


def _started(call: Call, before: Call | None) -> dict[str, object]:
    return {"call": call.number, "provider": call.provider, "model": call.model, **_cause(before)}


def _cause(before: Call | None) -> dict[str, object]:
    """Why there is another call: the one before failed, or its answer did not fit the response schema."""
    return {"after": before.error_code or "OutputInvalid"} if before else {}


def _ended(call: Call) -> dict[str, object]:
    details: dict[str, object] = {
        "call": call.number,
        "status": call.status.value,
        **{meter.value: amount for meter, amount in call.meters.items()},
        "cost_nano_usd": call.cost_nano_usd,
    }
    return details | ({"error_code": call.error_code} if call.error_code else {})


def _tools(run: Run, number: int) -> list[dict[str, str]]:
    """The tools that an attempt has ended with."""
    asking = [turn for turn in run.turns if turn.tool_calls]
    place = sum(attempt.outcome is Outcome.REQUIRES_ACTION for attempt in run.attempts[: number - 1])
    return [{"id": call.id[:NAME_CHARS], "name": call.name[:NAME_CHARS]} for call in asking[place].tool_calls]
