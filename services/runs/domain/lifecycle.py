"""How a run moves from state to state, and what is said of it."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from services.runs.domain.run import Attempt, Call, ModelAnswer, Outcome, PlannedCall, Run, RunError, Status
from shared.events.envelope import Event, happened
from shared.events.runs import RunCompleted, RunEnded, RunEvent, RunFailed, RunQueued, UsageRecorded
from shared.meters import Meter, Meters
from shared.stored import Stored

LEASE = timedelta(seconds=30)
"""How long a worker may be silent before the reaper takes the run from it."""
MAX_ATTEMPTS = 3
WAITED_DUE, QUEUED_DUE = timedelta(seconds=30), timedelta(minutes=15)
"""When nobody has leased a run that somebody waits for, or one in the queue, it is queued (again)."""
FIRST_CALL = 1

Change = tuple[Run, list[Event[RunEvent]]]


def submit(
    tenant_id: str,
    *,
    run_id: str,
    agent_id: str,
    version: int,
    project_id: str | None,
    config: Stored,
    first_call: PlannedCall,
    inputs: Mapping[str, Any],
    metadata: Mapping[str, Any],
    request_id: str,
    waited: bool,
    now: datetime,
) -> Change:
    """A new run; one that somebody waits for is not put into the queue."""
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
        first_call=first_call,
        request_id=request_id,
        created_at=now,
        due_at=now + (WAITED_DUE if waited else QUEUED_DUE),
    )
    return run, [] if waited else [_queued(run, now=now)]


def finish(run: Run, answer: ModelAnswer, *, now: datetime) -> Change:
    """The open call has answered, and with it the run is done."""
    call = _end_call(run, Outcome.COMPLETED, answer.meters, now=now)
    done = _end_run(run, call, Status.COMPLETED, now=now)
    done = replace(done, output={"message": answer.message})
    return done, [_usage(done, call), _ended(done, RunCompleted(**_facts(done)), now=now)]


def fail(run: Run, error: RunError, *, now: datetime) -> Change:
    """The open call has failed before anything was counted, and nothing else is left to try."""
    call = _end_call(run, Outcome.FAILED, {}, now=now)
    done = replace(_end_run(run, call, Status.FAILED, now=now), error=error)
    return done, [_usage(done, call), _ended(done, RunFailed(**_facts(done), error_code=error.code), now=now)]


def give_back(run: Run, *, now: datetime) -> Change:
    """The reaper's part: a run that is due goes (back) to the queue, or ends when it has been tried enough.

    What the open call of a lost attempt may have used is counted as uncertain, by its bound.
    """
    if run.status is Status.QUEUED:
        again = replace(run, seq=run.seq + 1, due_at=now + QUEUED_DUE)
        return again, [_queued(again, now=now)]
    call = _end_call(run, Outcome.LOST, {Meter.TOKENS_UNCERTAIN: run.first_call.bound_tokens}, now=now)
    if run.attempt >= MAX_ATTEMPTS:
        error = RunError("AttemptsExhausted", "The run was tried three times and its worker was lost each time.")
        done = replace(_end_run(run, call, Status.FAILED, now=now), error=error)
        return done, [_usage(done, call), _ended(done, RunFailed(**_facts(done), error_code=error.code), now=now)]
    again = replace(
        run,
        status=Status.QUEUED,
        seq=run.seq + 1,
        call_started_at=None,
        attempts=(*run.attempts, Attempt(run.attempt, call.status, (call,))),
        due_at=now + QUEUED_DUE,
    )
    return again, [_usage(again, call), _queued(again, now=now)]


def _end_call(run: Run, status: Outcome, used: Meters, *, now: datetime) -> Call:
    planned = run.first_call
    started_at = run.call_started_at or now
    meters: dict[Meter, int] = {**used, Meter.COMPUTE_MS: int((now - started_at).total_seconds() * 1000)}
    if run.attempt == 1:
        # One request per run, whatever it takes: it belongs to the run's first call.
        meters[Meter.REQUESTS] = 1
    return Call(
        attempt=run.attempt,
        call=FIRST_CALL,
        provider=planned.provider,
        model=planned.model,
        simulated=planned.simulated,
        status=status,
        meters=meters,
        cost_nano_usd=None,
        started_at=started_at,
        ended_at=now,
    )


def _end_run(run: Run, call: Call, status: Status, *, now: datetime) -> Run:
    return replace(
        run,
        status=status,
        seq=run.seq + 1,
        due_at=None,
        call_started_at=None,
        attempts=(*run.attempts, Attempt(run.attempt, call.status, (call,))),
        ended_at=now,
    )


def _queued(run: Run, *, now: datetime) -> Event[RunEvent]:
    return _said(run, RunQueued(run_id=run.run_id), event_id=f"{run.run_id}:queued:{run.seq}", now=now)


def _ended(run: Run, data: RunEnded, *, now: datetime) -> Event[RunEvent]:
    return _said(run, data, event_id=f"{run.run_id}:{run.attempt}:{run.status}", now=now)


def _said(run: Run, data: RunEvent, *, event_id: str, now: datetime) -> Event[RunEvent]:
    return happened(data, event_id=event_id, tenant_id=run.tenant_id, subject=run.run_id, seq=run.seq, at=now)


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


def _usage(run: Run, call: Call) -> Event[RunEvent]:
    name = f"{run.run_id}:{call.attempt}:{call.call}"
    data = UsageRecorded(
        run_id=run.run_id,
        attempt=call.attempt,
        call=call.call,
        request_id=run.request_id,
        agent_id=run.agent_id,
        version=run.version,
        project_id=run.project_id,
        provider=call.provider,
        model=call.model,
        meters=dict(call.meters),
        cost_nano_usd=call.cost_nano_usd,
        simulated=call.simulated,
        period=call.started_at.strftime("%Y-%m"),
    )
    return happened(data, event_id=name, tenant_id=run.tenant_id, subject=name, seq=1, at=call.ended_at)
