"""Handling runs that are due: not taken by a worker, with a lost lease, or without the outputs of their tools."""

from datetime import datetime, timedelta
from functools import cache

from services.runs.domain import lifecycle
from services.runs.domain.run import Run, Status
from services.runs.errors import CancelRequested, LeaseLost
from services.runs.operations.reporting import report_progress
from services.runs.operations.slots import settle_and_dispatch
from services.runs.table.budgets import BudgetTable
from services.runs.table.runs import RunTable
from shared.storage.due import DueEntry
from shared.sweep import Swept, sweep


def reap(runs: RunTable, budgets: BudgetTable, *, now: datetime, concurrency: int = 1) -> Swept:
    """Give every run that is due back to the workers' queue, or end it.

    A queued run is published again only when it has waited longer than the runs that workers are taking now: while the
    queue is merely long, its message is still there.

    Returns:
        Its results are the ids of the runs that were changed.
    """

    @cache
    def queue_wait() -> timedelta:
        return runs.queue_wait(now=now)

    def handle(entry: DueEntry) -> str | None:
        run = runs.state_at(entry.key)
        # The index follows the table with a delay, so the run may have moved on.
        if run is None or run.due_at is None or run.due_at > now:
            return None
        if run.status is Status.QUEUED and run.published_at:
            next_at = run.published_at + queue_wait() + lifecycle.QUEUED_DUE
            if next_at > now:
                runs.queue.put_back(entry, at=next_at)
                return None
        return _give_back(runs, budgets, run, now=now)

    return sweep(runs.queue, handle, now=now, concurrency=concurrency)


def _give_back(runs: RunTable, budgets: BudgetTable, run: Run, *, now: datetime) -> str | None:
    after, events = lifecycle.give_back(run, now=now)
    try:
        runs.save(run, after, events, only_if_still_due=True, unless_cancelled=not run.cancel_requested)
    except (LeaseLost, CancelRequested):
        return None  # It moved on in this moment, which is what the reaper wants; or must be looked at again.
    settle_and_dispatch(budgets, runs, run, after, now=now)
    report_progress(run, after)
    return run.run_id
