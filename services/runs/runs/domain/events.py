"""The events that a run's changes publish."""

from datetime import datetime
from typing import Any

from services.runs.runs.domain.run import Call, CallId, Run
from shared.events.envelope import Event, new_event
from shared.events.runs import RunEnded, RunEvent, RunQueued, TrialEnded, UsageRecorded
from shared.meters import OF_CALLS


def queued_event(run: Run, *, now: datetime) -> Event[RunEvent]:
    """Return the event that puts a run into the workers' queue."""
    return _event(run, RunQueued(run_id=run.run_id), event_id=f"{run.run_id}:queued:{run.seq}", now=now)


def ended_events(run: Run, data: RunEnded, *, now: datetime) -> list[Event[RunEvent]]:
    """Return the events of a run's end: that of the run, and that of its trial if it is one of an experiment."""
    return [
        _event(run, data, event_id=f"{run.run_id}:{run.attempt}:{run.status}", now=now),
        *trial_events(run, now=now),
    ]


def trial_events(run: Run, *, now: datetime) -> list[Event[RunEvent]]:
    """Return the event that the trial of a run has a result; none for a run of no experiment."""
    if run.trial is None:
        return []
    data = TrialEnded(run_id=run.run_id, experiment_id=run.trial.experiment_id, trial=run.trial.number)
    return [_event(run, data, event_id=f"{run.run_id}:trial:{run.seq}", now=now)]


def _event(run: Run, data: RunEvent, *, event_id: str, now: datetime) -> Event[RunEvent]:
    return new_event(
        data,
        event_id=event_id,
        tenant_id=run.tenant_id,
        subject=run.run_id,
        seq=run.seq,
        at=now,
        trace_id=run.trace_id,
    )


def ended_fields(run: Run) -> dict[str, Any]:
    """Return the fields that the events of all ends have."""
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
    """Return the usage event of a call as it was published when the call ended; None if it has not ended."""
    ended = run.ended_call(call)
    return _event_of_call(run, ended, call) if ended else None


def usage_event(run: Run, call: Call) -> Event[RunEvent]:
    """Return the usage event of a call of the current attempt that has just ended."""
    return _event_of_call(run, call, CallId(run.run_id, run.attempt, call.number))


def _event_of_call(run: Run, call: Call, call_id: CallId) -> Event[RunEvent]:
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
        meters={meter: amount for meter, amount in call.meters.items() if meter in OF_CALLS},
        cost_nano_usd=call.cost_nano_usd,
        price_version=call.price_version,
        simulated=call.simulated,
        period=call.period,
        usage_estimated=call.usage_estimated,
    )
    return new_event(
        data,
        event_id=name,
        tenant_id=run.tenant_id,
        subject=name,
        seq=1,
        at=call.ended_at,
        trace_id=run.trace_id,
    )
