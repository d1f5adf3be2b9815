"""Waiting for a run: the worker is called instead of the queue, and says what became of it."""

from services.runs.domain.run import Run
from services.runs.gateways.workers import Workers
from services.runs.table.runs import RunTable


def execute_and_wait(workers: Workers, runs: RunTable, run: Run, *, wait_s: int) -> Run:
    """Have a worker execute the run; gives it as it stands when that is done, or when the wait is over."""
    written = workers.execute(run.tenant_id, run.run_id, wait_s=wait_s)
    if written is None:
        return runs.get(run.tenant_id, run.run_id)
    return runs.written(run.tenant_id, run.run_id, written)
