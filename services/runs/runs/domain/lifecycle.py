"""How a run moves from state to state, and what is said of it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from services.runs.domain.artifact import Change, keep_artifacts
from services.runs.domain.request import Message, ToolCall
from services.runs.domain.run import Call, CallEnd, CallId, OpenCall, Outcome, Run, RunError, Status
from services.runs.errors import RunAlreadyEnded, ToolOutputsMismatch
from shared.events.envelope import Event, happened
from shared.events.runs import RunCancelled, RunCompleted, RunEnded, RunEvent, RunFailed, RunQueued, UsageRecorded
from shared.meters import Meter
from shared.stored import Stored

LEASE = timedelta(seconds=30)
"""How long a worker may be silent before the reaper takes the run from it."""
MAX_LOST_ATTEMPTS = 3
MAX_TOOL_TURNS = 20
MAX_TOOL_CALLS = 128
"""Of one turn; so many outputs can be handed in."""
QUEUED_DUE = timedelta(seconds=20)
"""When no worker has taken a queued run by then, it is queued again: the worker that received it has died."""
QUEUED_AGAIN_DUE = timedelta(minutes=15)
"""The longest time until a run is queued once more; the time doubles with each."""
WAITED_DUE = timedelta(seconds=30)
"""When the worker that was called for a run has not begun by then, the run is queued."""
TOOL_OUTPUTS_DUE = timedelta(hours=24)


def submit(
    tenant_id: str,
    *,
    run_id: str,
    agent_id: str,
    version: int,
    project_id: str | None,
    config: Stored,
    first_call: OpenCall | None,
    inputs: Mapping[str, Any],
    metadata: Mapping[str, Any],
    max_output_tokens: int | None,
    max_cost_nano_usd: int | None,
    request_id: str,
    trace_id: str,
    waited: bool,
    now: datetime,
    plan: str = "",
) -> Change:
    """Return a new run; without a first call it has found no slot, and waits for one in its tenant's own queue."""
    run = Run(
        run_id=run_id,
        tenant_id=tenant_id,
        status=Status.QUEUED,
        agent_id=agent_id,
        version=version,
        project_id=project_id,
        config=config,
        inputs=inputs,
        metadata=metadata,
        max_output_tokens=max_output_tokens,
        max_cost_nano_usd=max_cost_nano_usd,
        request_id=request_id,
        created_at=now,
        due_at=None,
        queued_at=(now,),
        plan=plan,
        trace_id=trace_id,
        open_call=first_call,
    )
    return keep_artifacts(*_begin(run, waited=waited, now=now), now=now)


def _begin(run: Run, *, waited: bool, now: datetime) -> Change:
    """Give a new run with a first call its slot; when its client waits for it, a worker is called instead of queued."""
    if run.open_call is None:
        return run, []
    held = replace(run, slot_period=run.open_call.period, due_at=now + WAITED_DUE)
    return (held, []) if waited else _publish(held, now=now)


def publish(run: Run, *, now: datetime) -> Change:
    """Put a queued run that no worker has taken into the workers' queue."""
    return _publish(replace(run, seq=run.seq + 1), now=now)


def dispatch(run: Run, slot_period: str, *, now: datetime) -> Change:
    """Put a run that waited for a slot, and has one now, into the workers' queue."""
    return publish(replace(run, slot_period=slot_period), now=now)


def return_lease(run: Run, *, now: datetime) -> Change:
    """Give up an attempt whose open call was not sent: nothing is charged, and the reaper queues the run again.

    An attempt without any ended call did not take place. Of another one the calls stay, and it counts as lost.
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
    """The run with this call written down; only then may it be sent."""
    return replace(run, open_call=call, call_started_at=now, seq=run.seq + 1)


def end_call(run: Run, end: CallEnd, *, now: datetime) -> Change:
    """The open call has ended, and the attempt goes on with another one, under a lease that begins anew."""
    call, after = _close(run, end, now=now)
    return replace(after, due_at=now + LEASE), [_usage(after, call)]


def complete(run: Run, end: CallEnd, output: Mapping[str, Any], *, now: datetime) -> Change:
    """The open call has answered, and with it the run is done."""
    call, after = _close(run, end, now=now)
    done = replace(_finish(after, Status.COMPLETED, Outcome.COMPLETED, now=now), output=output)
    return keep_artifacts(done, [_usage(done, call), _ended(done, RunCompleted(**_facts(done)), now=now)], now=now)


def require_tools(run: Run, end: CallEnd, text: str, calls: Sequence[ToolCall], *, now: datetime) -> Change:
    """The open call asks for tools that the client executes; the run waits for their outputs."""
    call, after = _close(run, end, now=now)
    waiting = replace(
        _leave(after, Outcome.REQUIRES_ACTION, now=now),
        status=Status.REQUIRES_ACTION,
        slot_period=None,
        turns=(*run.turns, Message("assistant", text, tool_calls=tuple(calls))),
        due_at=now + TOOL_OUTPUTS_DUE,
    )
    return keep_artifacts(waiting, [_usage(waiting, call)], now=now)


def fail(run: Run, end: CallEnd | None, error: RunError, *, now: datetime) -> Change:
    """Nothing is left to try.

    Args:
        run: with the call that failed last open, or with none.
        end: of the open call; None when there is none, or it was not sent.
        error: what the run says.
        now: the time.
    """
    usage: list[Event[RunEvent]] = []
    after = _drop(run)
    if end:
        call, after = _close(run, end, now=now)
        usage = [_usage(after, call)]
    done = replace(_finish(after, Status.FAILED, Outcome.FAILED, now=now), error=error)
    return done, [*usage, _ended(done, RunFailed(**_facts(done), error_code=error.code), now=now)]


def stop(run: Run, end: CallEnd | None, *, now: datetime) -> Change:
    """The worker has heard of the cancellation and ended its call, or has not sent it."""
    usage: list[Event[RunEvent]] = []
    after = _drop(run)
    if end:
        call, after = _close(run, end, now=now)
        usage = [_usage(after, call)]
    done = _finish(after, Status.CANCELLED, Outcome.CANCELLED, now=now)
    return done, [*usage, _ended(done, RunCancelled(**_facts(done)), now=now)]


def cancel(run: Run, *, now: datetime) -> Change:
    """The client cancels: at once when nothing is under way, else the worker is asked to stop.

    Raises:
        RunAlreadyEnded: it has.
    """
    if run.status.final:
        raise RunAlreadyEnded
    if run.status is Status.RUNNING:
        return run if run.cancel_requested else replace(run, cancel_requested=True, seq=run.seq + 1), []
    done = _finish(_drop(run), Status.CANCELLED, None, now=now)
    return done, [_ended(done, RunCancelled(**_facts(done)), now=now)]


def plan_turn(run: Run, call: OpenCall) -> Run:
    """The run whose tools have answered, with its next attempt's first call planned."""
    return replace(run, open_call=call, slot_period=call.period)


def take_tool_outputs(run: Run, outputs: Mapping[str, str], *, now: datetime, has_slot: bool = True) -> Change:
    """The client has executed the tools, and the run goes on; the same outputs again change nothing.

    Args:
        run: that requires action, or went on since.
        outputs: by the id of the tool call; exactly those that are asked for.
        now: the time.
        has_slot: False lets the run wait for a slot in its tenant's own queue.

    Raises:
        ToolOutputsMismatch: a call is unknown, missing, or was answered differently.
        RunAlreadyEnded: it has, without these outputs.
    """
    if run.status is not Status.REQUIRES_ACTION:
        _check_given_before(run, outputs)
        return run, []
    asked = [call.id for call in run.tool_calls]
    if set(asked) != set(outputs):
        _check_given_before(run, outputs)
        return run, []
    answers = tuple(Message("tool", outputs[call_id], tool_call_id=call_id) for call_id in asked)
    again = replace(_requeue(run, now=now), turns=(*run.turns, *answers), due_at=None, seq=run.seq + 1)
    queued, events = _publish(again, now=now) if has_slot else (again, [])
    return keep_artifacts(queued, events, now=now)


def _check_given_before(run: Run, outputs: Mapping[str, str]) -> None:
    given = {turn.tool_call_id: turn.content for turn in run.turns if turn.role == "tool"}
    if all(given.get(call_id) == output for call_id, output in outputs.items()):
        return
    if run.status.final:
        raise RunAlreadyEnded
    raise ToolOutputsMismatch


def give_back(run: Run, *, now: datetime) -> Change:
    """The reaper's part: a run that is due goes (back) to the queue, or ends when it has been tried enough.

    What the open call of a lost attempt may have used is counted as uncertain, by its bound.
    """
    if run.status is Status.QUEUED:
        return _republish(run, now=now)
    if run.status is Status.REQUIRES_ACTION:
        error = RunError("ToolOutputsTimeout", "The outputs of the tools did not come within 24 hours.")
        done = replace(_finish(replace(run, seq=run.seq + 1), Status.FAILED, None, now=now), error=error)
        return done, [_ended(done, RunFailed(**_facts(done), error_code=error.code), now=now)]
    return _lose(run, now=now)


def _lose(run: Run, *, now: datetime) -> Change:
    end = CallEnd(Outcome.LOST, usage_known=False) if run.open_call else None
    if run.cancel_requested:
        return stop(run, end, now=now)
    lost = sum(attempt.outcome is Outcome.LOST for attempt in run.attempts) + 1
    if lost >= MAX_LOST_ATTEMPTS:
        error = RunError("AttemptsExhausted", "The run was tried three times and its worker was lost each time.")
        done, events = fail(run, end, error, now=now)
        return replace(done, attempts=(*done.attempts[:-1], replace(done.attempts[-1], outcome=Outcome.LOST))), events
    usage: list[Event[RunEvent]] = []
    after = replace(run, seq=run.seq + 1)
    if end:
        call, after = _close(run, end, now=now)
        usage = [_usage(after, call)]
    again, queued = _publish(_requeue(_leave(after, Outcome.LOST, now=now), now=now), now=now)
    return again, [*usage, *queued]


def _drop(run: Run) -> Run:
    """The run without the call that was planned and never sent."""
    return replace(run, open_call=None, call_started_at=None, seq=run.seq + 1)


def _close(run: Run, end: CallEnd, *, now: datetime) -> tuple[Call, Run]:
    """The open call as it ended, and the run with it among the ended ones."""
    if run.open_call is None:
        msg = "there is no open call to end"
        raise ValueError(msg)
    planned, started_at = run.open_call, run.call_started_at or now
    meters: dict[Meter, int] = {**end.meters, Meter.COMPUTE_MS: _milliseconds(started_at, now)}
    if not end.usage_known:
        # What the provider has said is known; the rest, up to the bound, is not.
        said = meters.get(Meter.TOKENS_IN, 0) + meters.get(Meter.TOKENS_OUT, 0)
        meters[Meter.TOKENS_UNCERTAIN] = max(0, planned.bound_tokens - said)
    if not run.calls:
        # One request per run, whatever it takes: it belongs to the run's first call.
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
    )
    *before, current = run.attempts
    attempts = (*before, replace(current, calls=(*current.calls, call)))
    return call, replace(run, attempts=attempts, open_call=None, call_started_at=None, seq=run.seq + 1)


def _milliseconds(start: datetime, end: datetime) -> int:
    """Clocks differ: who ends a call may not be who began it."""
    return max(0, int((end - start).total_seconds() * 1000))


def _requeue(run: Run, *, now: datetime) -> Run:
    return replace(run, status=Status.QUEUED, queued_at=(*run.queued_at, now))


def _publish(run: Run, *, now: datetime) -> Change:
    queued = replace(run, due_at=now + QUEUED_DUE, published_at=now, publications=0)
    return queued, [_queued(queued, now=now)]


def _republish(run: Run, *, now: datetime) -> Change:
    publications = run.publications + 1 if run.published_at else run.publications
    queued = replace(
        run,
        due_at=now + _spacing(publications),
        published_at=run.published_at or now,
        publications=publications,
        seq=run.seq + 1,
    )
    return queued, [_queued(queued, now=now)]


def _spacing(publications: int) -> timedelta:
    """Return the time until the next publication; it doubles, so that a long queue grows little by them."""
    return min(QUEUED_DUE * 2 ** min(publications, 10), QUEUED_AGAIN_DUE)


def _leave(run: Run, outcome: Outcome, *, now: datetime) -> Run:
    """The run whose current attempt is over."""
    *before, current = run.attempts
    return replace(run, attempts=(*before, replace(current, outcome=outcome, ended_at=now)))


def _finish(run: Run, status: Status, outcome: Outcome | None, *, now: datetime) -> Run:
    left = _leave(run, outcome, now=now) if outcome else run
    # A cancellation that its worker has not noticed has raised the number by one: the end raises it beyond that.
    return replace(left, status=status, due_at=None, slot_period=None, ended_at=now, seq=left.seq + 1)


def _queued(run: Run, *, now: datetime) -> Event[RunEvent]:
    return _said(run, RunQueued(run_id=run.run_id), event_id=f"{run.run_id}:queued:{run.seq}", now=now)


def _ended(run: Run, data: RunEnded, *, now: datetime) -> Event[RunEvent]:
    return _said(run, data, event_id=f"{run.run_id}:{run.attempt}:{run.status}", now=now)


def _said(run: Run, data: RunEvent, *, event_id: str, now: datetime) -> Event[RunEvent]:
    return happened(
        data,
        event_id=event_id,
        tenant_id=run.tenant_id,
        subject=run.run_id,
        seq=run.seq,
        at=now,
        trace_id=run.trace_id,
    )


def _facts(run: Run) -> dict[str, Any]:
    return {
        "run_id": run.run_id,
        "agent_id": run.agent_id,
        "version": run.version,
        "project_id": run.project_id,
        "created_at": run.created_at,
        "started_at": run.started_at,
        "ended_at": run.ended_at,
        "attempts": len(run.attempts),
    }


def usage_of(run: Run, call: CallId) -> Event[RunEvent] | None:
    """What was said when this call ended, to be said again; None when it has not."""
    ended = run.ended_call(call)
    return _said_of_call(run, ended, call) if ended else None


def _usage(run: Run, call: Call) -> Event[RunEvent]:
    return _said_of_call(run, call, CallId(run.run_id, run.attempt, call.number))


def _said_of_call(run: Run, call: Call, call_id: CallId) -> Event[RunEvent]:
    name = str(call_id)
    data = UsageRecorded(
        run_id=run.run_id,
        attempt=call_id.attempt,
        call=call.number,
        request_id=run.request_id,
        agent_id=run.agent_id,
        version=run.version,
        project_id=run.project_id,
        provider=call.provider,
        model=call.model,
        meters=dict(call.meters),
        cost_nano_usd=call.cost_nano_usd,
        price_version=call.price_version,
        simulated=call.simulated,
        period=call.period,
    )
    return happened(
        data,
        event_id=name,
        tenant_id=run.tenant_id,
        subject=name,
        seq=1,
        at=call.ended_at,
        trace_id=run.trace_id,
    )
