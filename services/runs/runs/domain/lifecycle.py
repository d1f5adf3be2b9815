"""The state transitions of a run."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from services.runs.errors import RunAlreadyEnded, ToolOutputsMismatch, ToolOutputsTooLarge
from services.runs.runs.domain.artifact import Change, add_artifacts, bytes_of_turns
from services.runs.runs.domain.conversation import Message, ProviderState, ToolCall
from services.runs.runs.domain.events import ended_events, ended_fields, queued_event, trial_events, usage_event
from services.runs.runs.domain.run import (
    Call,
    CallEnd,
    OpenCall,
    Outcome,
    PinnedVersion,
    Run,
    RunError,
    RunRequest,
    Status,
)
from shared.events.envelope import Event
from shared.events.runs import RunCancelled, RunCompleted, RunEvent, RunFailed
from shared.meters import Meter

LEASE = timedelta(seconds=30)
"""The time after which the reaper treats a worker that has not extended its lease as lost."""
MAX_LOST_ATTEMPTS = 3
MAX_CALLS_IN_RUN = 16
"""The maximum number of calls of ended attempts in the run's item, where each takes some 600 bytes and the name of its
model. Above it, the calls of these attempts are moved out of the item."""
MAX_TOOL_TURNS = 20
MAX_TOOL_CALLS = 128
"""The maximum number of tool calls in one turn, and so of the outputs that a client can submit."""
MAX_TOOL_CALLS_BYTES = 512 * 1024
"""The maximum size of the tool calls of one turn, as JSON. They are part of each response with the run, and of one
event of its stream."""
MAX_TURNS_BYTES = 2 * 1024 * 1024
"""The maximum size of all turns of a run, as JSON. They are sent with each further call."""
QUEUED_DUE = timedelta(seconds=20)
"""A queued run that no worker has leased by then is queued again: the worker that received it has died."""
QUEUED_AGAIN_DUE = timedelta(minutes=15)
"""The maximum time between two publications of a queued run; the time doubles with each publication."""
WAITED_DUE = timedelta(seconds=30)
"""If the worker that was invoked for a waited run has not leased it by then, the run is queued."""
TOOL_OUTPUTS_DUE = timedelta(hours=24)


def submit(
    tenant_id: str,
    request: RunRequest,
    pinned: PinnedVersion,
    *,
    first_call: OpenCall | None,
    now: datetime,
    plan: str = "",
) -> Change:
    """Return a new run. Without a first call it has found no slot, and waits for one in its tenant's own queue."""
    run = Run(
        run_id=request.run_id,
        tenant_id=tenant_id,
        status=Status.QUEUED,
        agent_id=request.agent_id,
        version=pinned.version,
        project_id=pinned.project_id,
        config=pinned.config,
        prompt=pinned.prompt,
        inputs=request.inputs,
        metadata=request.metadata,
        parameters=request.parameters,
        max_output_tokens=request.max_output_tokens,
        max_cost_nano_usd=request.max_cost_nano_usd,
        request_id=request.request_id,
        created_at=now,
        due_at=None,
        queued_at=(now,),
        plan=plan,
        trace_id=request.trace_id,
        trial=request.trial,
        open_call=first_call,
    )
    return add_artifacts(*_begin(run, waited=request.waited, now=now), now=now)


def _begin(run: Run, *, waited: bool, now: datetime) -> Change:
    """Assign the slot to a new run with a first call. A waited run is not queued: a worker is invoked for it."""
    if run.open_call is None:
        return run, []
    with_slot = replace(run, slot_period=run.open_call.period, due_at=now + WAITED_DUE)
    return (with_slot, []) if waited else _publish(with_slot, now=now)


def publish(run: Run, *, now: datetime) -> Change:
    """Put a queued run that no worker has leased into the workers' queue."""
    return _publish(replace(run, seq=run.seq + 1), now=now)


def dispatch(run: Run, slot_period: str, *, now: datetime) -> Change:
    """Put a run that has just been given a slot into the workers' queue."""
    return publish(replace(run, slot_period=slot_period), now=now)


def release_lease(run: Run, *, now: datetime) -> Change:
    """End an attempt whose open call was not sent. The call is not charged, and the reaper queues the run again.

    An attempt without ended calls is removed. An attempt with ended calls keeps them and counts as lost.
    """
    *before, current = run.attempts
    if current.calls:
        return _lose(replace(run, open_call=None), now=now)
    again = replace(
        run,
        status=Status.QUEUED,
        attempts=tuple(before),
        call_started_at=None,
        started_at=run.started_at if before else None,
        due_at=now + _spacing(run.publications),
        published_at=None,
        publications=run.publications + 1,
        seq=run.seq + 1,
    )
    return again, []


def begin_call(run: Run, call: OpenCall, *, now: datetime) -> Run:
    """Return the run with this call recorded as open. The call may be sent only after the run is saved."""
    return replace(run, open_call=call, call_started_at=now, seq=run.seq + 1)


def end_call(run: Run, end: CallEnd, *, now: datetime) -> Change:
    """End the open call of an attempt that continues with another call, and extend the lease."""
    call, after = _close(run, end, now=now)
    return replace(after, due_at=now + LEASE), [usage_event(after, call)]


def complete(run: Run, end: CallEnd, output: Mapping[str, Any], *, now: datetime) -> Change:
    """End the open call, whose answer completes the run."""
    call, after = _close(run, end, now=now)
    done = replace(_finish(after, Status.COMPLETED, Outcome.COMPLETED, now=now), output=output)
    return add_artifacts(
        done, [usage_event(done, call), *ended_events(done, RunCompleted(**ended_fields(done)), now=now)], now=now
    )


def tools_refusal(
    turns: Sequence[Message], text: str, calls: Sequence[ToolCall], state: ProviderState | None = None
) -> RunError | None:
    """Return the error that ends a run instead of waiting for these tools; None if the run can wait for them."""
    if sum(bool(turn.tool_calls) for turn in turns) >= MAX_TOOL_TURNS:
        return RunError("TooManyToolTurns", f"The model asked for tools more than {MAX_TOOL_TURNS} times.")
    if len(calls) > MAX_TOOL_CALLS:
        return RunError("TooManyToolCalls", f"The model asked for more than {MAX_TOOL_CALLS} tools at once.")
    if bytes_of_turns([Message("assistant", "", tool_calls=tuple(calls))]) > MAX_TOOL_CALLS_BYTES:
        return RunError("ToolCallsTooLarge", "The model's tool calls are larger than 512 KB together.")
    if bytes_of_turns([*turns, Message("assistant", text, tool_calls=tuple(calls), state=state)]) > MAX_TURNS_BYTES:
        return RunError("ConversationTooLarge", "The conversation after the inputs is larger than 2 MB.")
    return None


def require_tools(
    run: Run,
    end: CallEnd,
    text: str,
    calls: Sequence[ToolCall],
    *,
    now: datetime,
    state: ProviderState | None = None,
) -> Change:
    """End the open call, which requests tools that the client executes; the run waits for their outputs."""
    call, after = _close(run, end, now=now)
    waiting = replace(
        _leave(after, Outcome.REQUIRES_ACTION, now=now),
        status=Status.REQUIRES_ACTION,
        slot_period=None,
        turns=(*run.turns, Message("assistant", text, tool_calls=tuple(calls), state=state)),
        due_at=now + TOOL_OUTPUTS_DUE,
    )
    return add_artifacts(waiting, [usage_event(waiting, call), *trial_events(waiting, now=now)], now=now)


def fail(run: Run, end: CallEnd | None, error: RunError, *, now: datetime) -> Change:
    """Fail a run that has no call left to try.

    Args:
        run: the run; its open call, if any, is the one that failed last.
        end: the end of the open call; None if there is no open call, or it was not sent.
        error: the error of the run.
        now: the time.
    """
    usage: list[Event[RunEvent]] = []
    after = _drop(run)
    if end:
        call, after = _close(run, end, now=now)
        usage = [usage_event(after, call)]
    done = replace(_finish(after, Status.FAILED, Outcome.FAILED, now=now), error=error)
    return done, [*usage, *ended_events(done, RunFailed(**ended_fields(done), error_code=error.code), now=now)]


def finish_cancellation(run: Run, end: CallEnd | None, *, now: datetime) -> Change:
    """Cancel a run whose worker has received the cancellation, and has ended its call or not sent it."""
    usage: list[Event[RunEvent]] = []
    after = _drop(run)
    if end:
        call, after = _close(run, end, now=now)
        usage = [usage_event(after, call)]
    done = _finish(after, Status.CANCELLED, Outcome.CANCELLED, now=now)
    return done, [*usage, *ended_events(done, RunCancelled(**ended_fields(done)), now=now)]


def cancel(run: Run, *, now: datetime) -> Change:
    """Cancel a run: at once if no worker executes it; otherwise record the request for the worker.

    Raises:
        RunAlreadyEnded: the run has ended.
    """
    if run.status.final:
        raise RunAlreadyEnded
    if run.status is Status.RUNNING:
        return run if run.cancel_requested else replace(run, cancel_requested=True, seq=run.seq + 1), []
    done = _finish(_drop(run), Status.CANCELLED, None, now=now)
    return done, ended_events(done, RunCancelled(**ended_fields(done)), now=now)


def plan_turn(run: Run, call: OpenCall) -> Run:
    """Return a run with tool outputs, with the first call of its next attempt planned."""
    return replace(run, open_call=call, slot_period=call.period)


def accept_tool_outputs(run: Run, outputs: Mapping[str, str], *, now: datetime, has_slot: bool = True) -> Change:
    """Continue a run with the outputs of its tools. Submitting the same outputs again changes nothing.

    Args:
        run: a run that requires action, or one that has continued since.
        outputs: the outputs by tool call id; exactly one for each requested call.
        now: the time.
        has_slot: False lets the run wait for a slot in its tenant's own queue.

    Raises:
        ToolOutputsMismatch: a call is unknown, missing, or was answered differently.
        ToolOutputsTooLarge: the conversation would exceed its size limit.
        RunAlreadyEnded: the run has ended without these outputs.
    """
    if run.status is not Status.REQUIRES_ACTION:
        _check_same_outputs(run, outputs)
        return run, []
    asked = [call.id for call in run.tool_calls]
    if set(asked) != set(outputs):
        _check_same_outputs(run, outputs)
        return run, []
    turns = (*run.turns, *(Message("tool", outputs[call_id], tool_call_id=call_id) for call_id in asked))
    if bytes_of_turns(turns) > MAX_TURNS_BYTES:
        raise ToolOutputsTooLarge
    again = replace(_requeue(run, now=now), turns=turns, due_at=None, seq=run.seq + 1)
    queued, events = _publish(again, now=now) if has_slot else (again, [])
    return add_artifacts(queued, events, now=now)


def _check_same_outputs(run: Run, outputs: Mapping[str, str]) -> None:
    given = {turn.tool_call_id: turn.content for turn in run.turns if turn.role == "tool"}
    if all(given.get(call_id) == output for call_id, output in outputs.items()):
        return
    if run.status.final:
        raise RunAlreadyEnded
    raise ToolOutputsMismatch


def recover(run: Run, *, now: datetime) -> Change:
    """Recover a run that is due: queue it (again), or end it if its time or its attempts are used up.

    The usage of an open call of a lost attempt is unknown, so its bound is recorded as uncertain usage.
    """
    if run.status is Status.QUEUED:
        return _republish(run, now=now)
    if run.status is Status.REQUIRES_ACTION:
        error = RunError("ToolOutputsTimeout", "The outputs of the tools did not come within 24 hours.")
        done = replace(_finish(replace(run, seq=run.seq + 1), Status.FAILED, None, now=now), error=error)
        return done, ended_events(done, RunFailed(**ended_fields(done), error_code=error.code), now=now)
    return _lose(run, now=now)


def _lose(run: Run, *, now: datetime) -> Change:
    end = CallEnd(Outcome.LOST, usage_known=False) if run.open_call else None
    if run.cancel_requested:
        return finish_cancellation(run, end, now=now)
    lost = sum(attempt.outcome is Outcome.LOST for attempt in run.attempts) + 1
    if lost >= MAX_LOST_ATTEMPTS:
        error = RunError("AttemptsExhausted", "The run was tried three times and its worker was lost each time.")
        done, events = fail(run, end, error, now=now)
        return replace(done, attempts=(*done.attempts[:-1], replace(done.attempts[-1], outcome=Outcome.LOST))), events
    usage: list[Event[RunEvent]] = []
    after = replace(run, seq=run.seq + 1)
    if end:
        call, after = _close(run, end, now=now)
        usage = [usage_event(after, call)]
    again, queued = _publish(_requeue(_leave(after, Outcome.LOST, now=now), now=now), now=now)
    return again, [*usage, *queued]


def _drop(run: Run) -> Run:
    """Return the run without its planned call, which was never sent."""
    return replace(run, open_call=None, call_started_at=None, seq=run.seq + 1)


def _close(run: Run, end: CallEnd, *, now: datetime) -> tuple[Call, Run]:
    """Return the ended call, and the run with it among the ended calls."""
    if run.open_call is None:
        msg = "there is no open call to end"
        raise ValueError(msg)
    planned, started_at = run.open_call, run.call_started_at or now
    meters: dict[Meter, int] = {**end.meters, Meter.COMPUTE_MS: _milliseconds(started_at, now)}
    if not end.usage_known:
        # The tokens that the provider has counted are known; the rest, up to the bound, is uncertain.
        payload = meters.get(Meter.TOKENS_IN, 0) + meters.get(Meter.TOKENS_OUT, 0)
        meters[Meter.TOKENS_UNCERTAIN] = max(0, planned.bound_tokens - payload)
    if not run.has_ended_call:
        # A run counts as one request, on its first call, however many calls it makes.
        meters[Meter.REQUESTS] = 1
    call = Call(
        number=planned.number,
        provider=planned.provider,
        model=planned.model,
        simulated=planned.simulated,
        status=end.status,
        meters=meters,
        cost_nano_usd=end.cost.nano_usd,
        price_version=end.cost.price_version,
        error_code=end.error.code if end.error else None,
        period=planned.period,
        started_at=started_at,
        ended_at=now,
        bound_nano_usd=planned.bound_nano_usd,
        limited_by=planned.limited_by,
        omitted=end.omitted,
        finish_reason=end.finish_reason,
        usage_estimated=end.usage_estimated,
    )
    *before, current = run.attempts
    attempts = (*before, replace(current, calls=(*current.calls, call)))
    return call, replace(run, attempts=attempts, open_call=None, call_started_at=None, seq=run.seq + 1)


def _milliseconds(start: datetime, end: datetime) -> int:
    """Return the duration, never negative: the clocks of the two processes that began and ended a call may differ."""
    return max(0, int((end - start).total_seconds() * 1000))


def _requeue(run: Run, *, now: datetime) -> Run:
    return replace(run, status=Status.QUEUED, queued_at=(*run.queued_at, now))


def _publish(run: Run, *, now: datetime) -> Change:
    queued = replace(run, due_at=now + QUEUED_DUE, published_at=now, publications=0)
    return queued, [queued_event(queued, now=now)]


def _republish(run: Run, *, now: datetime) -> Change:
    publications = run.publications + 1 if run.published_at else run.publications
    queued = replace(
        run,
        due_at=now + _spacing(publications),
        published_at=run.published_at or now,
        publications=publications,
        seq=run.seq + 1,
    )
    return queued, [queued_event(queued, now=now)]


def _spacing(publications: int) -> timedelta:
    """Return the time until the next publication. It doubles, so that republished runs barely lengthen a long queue."""
    return min(QUEUED_DUE * 2 ** min(publications, 10), QUEUED_AGAIN_DUE)


def _leave(run: Run, outcome: Outcome, *, now: datetime) -> Run:
    """Return the run with its current attempt ended."""
    *before, current = run.attempts
    left = replace(run, attempts=(*before, replace(current, outcome=outcome, ended_at=now)))
    calls_in_run = sum(len(attempt.calls) for attempt in left.attempts[left.moved_attempts :])
    return replace(left, moved_attempts=left.attempt) if calls_in_run > MAX_CALLS_IN_RUN else left


def _finish(run: Run, status: Status, outcome: Outcome | None, *, now: datetime) -> Run:
    left = _leave(run, outcome, now=now) if outcome else run
    # An unnoticed cancellation has incremented seq in the table by one; the end must have a higher one.
    return replace(left, status=status, due_at=None, slot_period=None, ended_at=now, seq=left.seq + 1)
