"""Waiting for a run: the worker is called instead of the queue, and says what became of it."""

from collections.abc import Callable
from datetime import datetime

from services.runs.domain import lifecycle
from services.runs.domain.run import Run
from services.runs.errors import CancelRequested, LeaseLost, WorkerNotReached
from services.runs.gateways.workers import Workers
from services.runs.operations.submission import Submitted
from services.runs.table.runs import RunTable


def execute_and_wait(
    workers: Workers, runs: RunTable, submitted: Submitted, *, wait_s: int, clock: Callable[[], datetime]
) -> Run:
    """Have a worker execute a run that is leased to it; gives it as it stands when that is done or the wait is over.

    The queue gets the run when no worker can be reached.
    """
    run = submitted.run
    try:
        written = workers.execute(submitted.written, wait_s=wait_s)
    except WorkerNotReached:
        return _to_the_queue(runs, run, now=clock())
    if written is None:
        return runs.get(run.tenant_id, run.run_id)
    return runs.written(run.tenant_id, run.run_id, written)


def _to_the_queue(runs: RunTable, run: Run, *, now: datetime) -> Run:
    after, events = lifecycle.return_lease(run, now=now)
    try:
        runs.save(run, after, events, unless_cancelled=True)
    except (LeaseLost, CancelRequested):
        return runs.get(run.tenant_id, run.run_id)
    return after
