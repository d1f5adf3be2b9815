"""Cancellation of runs by their client."""

from datetime import datetime

from services.runs.budgets.operations.slots import leave, settle_and_dispatch
from services.runs.budgets.table.budgets import BudgetTable
from services.runs.execution.operations.contention import retry_if_changed
from services.runs.execution.operations.reporting import report_progress
from services.runs.runs.domain import lifecycle
from services.runs.runs.domain.run import Run, Status
from services.runs.runs.table.runs import RunTable
from shared.preconditions import check_if_match


def cancel_run(runs: RunTable, budgets: BudgetTable, run_id: str, *, now: datetime, if_match: str | None) -> Run:
    """Cancel a run: at once if no worker executes it; otherwise request its worker to stop.

    Raises:
        RunNotFound, RunAlreadyEnded: there is nothing to cancel.
    """

    def attempt() -> Run:
        run = runs.get(run_id)
        check_if_match(if_match, run.seq)
        after, events = lifecycle.cancel(run, now=now)
        if after is run:
            return run
        if run.status is Status.RUNNING:
            runs.request_cancel(run, now=now)
            return after
        runs.save(run, after, events)
        if run.waits_for_slot:
            leave(budgets, now=now)
        settle_and_dispatch(budgets, runs, run, after, now=now)
        report_progress(run, after)
        return after

    return retry_if_changed(attempt)
