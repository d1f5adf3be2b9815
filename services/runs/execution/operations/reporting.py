"""Metrics of a run: the wait for a worker, each call, and the end."""

from datetime import datetime

from services.runs.runs.domain.run import Call, Outcome, Run
from shared.meters import Meter
from shared.metrics import (
    CALL_DURATION,
    COST,
    FAILED_CALLS,
    QUEUE_WAIT,
    RUN_DURATION,
    RUNS_ENDED,
    TOKENS_IN,
    TOKENS_OUT,
    UNPRICED_CALLS,
    Metric,
)
from shared.observability import report


def report_progress(before: Run, after: Run) -> None:
    """Report the calls and the end of the run that this change has written."""
    for call in after.calls[len(before.calls) :]:
        _report_call(after, call)
    if after.status.final and not before.status.final:
        _report_end(after)


def report_start(run: Run, *, now: datetime) -> None:
    """Report the time that a run has waited for its worker."""
    report("run taken", {QUEUE_WAIT: _ms(run.queued_at[-1], now)}, **_about(run), attempt=run.attempt)


def _report_call(run: Run, call: Call) -> None:
    measured: dict[Metric, int] = {
        TOKENS_IN: call.meters.get(Meter.TOKENS_IN, 0),
        TOKENS_OUT: call.meters.get(Meter.TOKENS_OUT, 0),
        CALL_DURATION: _ms(call.started_at, call.ended_at),
        FAILED_CALLS: int(call.status in {Outcome.FAILED, Outcome.LOST}),
        UNPRICED_CALLS: int(call.is_unpriced),
    }
    if call.cost_nano_usd is not None:
        measured[COST] = call.cost_nano_usd
    report(
        "call ended",
        measured,
        **_about(run),
        attempt=run.attempt,
        call=call.number,
        provider=call.provider,
        model=call.model,
        status=call.status.value,
        error_code=call.error_code,
    )


def _report_end(run: Run) -> None:
    measured: dict[Metric, int] = {RUNS_ENDED: 1, RUN_DURATION: _ms(run.created_at, run.ended_at or run.created_at)}
    error_code = run.error.code if run.error else None
    report("run ended", measured, **_about(run), state=run.status.value, attempts=run.attempt, error_code=error_code)


def _about(run: Run) -> dict[str, object]:
    return {
        "tenant_id": run.tenant_id,
        "run_id": run.run_id,
        "agent_id": run.agent_id,
        "request_id": run.request_id,
        "plan": run.plan or "unknown",
    }


def _ms(start: datetime, end: datetime) -> int:
    return max(0, int((end - start).total_seconds() * 1000))
