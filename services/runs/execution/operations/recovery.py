"""Recovery of runs that are due: not leased by a worker, with an expired lease, or without their tool outputs."""

from datetime import datetime, timedelta
from functools import cache

from services.runs.budgets.operations.slots import settle_and_dispatch
from services.runs.budgets.table.budgets import AllBudgets
from services.runs.errors import CancelRequested, LeaseLost
from services.runs.execution.operations.reporting import report_progress
from services.runs.runs.domain import lifecycle
from services.runs.runs.domain.run import Run, Status
from services.runs.runs.table.runs import AllRuns
from shared.storage.due import DueEntry
from shared.sweep import Swept, sweep


def reap(runs: AllRuns, budgets: AllBudgets, *, now: datetime, concurrency: int = 1) -> Swept:
    """Put every run that is due back into the workers' queue, or end it.

    A queued run is published again only if it has waited longer than the runs that workers are leasing now: while the
    queue is merely long, its message is still there.

    Returns:
        The result of the sweep; its results are the ids of the changed runs.
    """

    @cache
    def queue_wait() -> timedelta:
        return runs.queue_wait(now=now)

    def handle(entry: DueEntry) -> str | None:
        run = runs.queue.load(entry)
        # The index follows the table with a delay, so the run may have changed.
        if run is None or run.due_at is None or run.due_at > now:
            return None
        if run.status is Status.QUEUED and run.published_at:
            next_at = run.published_at + queue_wait() + lifecycle.QUEUED_DUE
            if next_at > now:
                runs.queue.postpone(entry, at=next_at)
                return None
        return _recover(runs, budgets, run, now=now)

    return sweep(runs.queue, handle, now=now, concurrency=concurrency)


def expire_tool_calls(runs: AllRuns, budgets: AllBudgets, *, now: datetime, concurrency: int = 1) -> Swept:
    """Fail every run whose tool outputs did not come in time.

    Returns:
        Its results are the ids of the runs that were failed.
    """

    def handle(entry: DueEntry) -> str | None:
        run = runs.waiting_for_tools.load(entry)
        # The index follows the table with a delay, so the outputs may have come.
        if run is None or run.status is not Status.REQUIRES_ACTION or run.due_at is None or run.due_at > now:
            return None
        return _recover(runs, budgets, run, now=now)

    return sweep(runs.waiting_for_tools, handle, now=now, concurrency=concurrency)


def _recover(runs: AllRuns, budgets: AllBudgets, run: Run, *, now: datetime) -> str | None:
    after, events = lifecycle.recover(run, now=now)
    of_tenant = runs.of(run.tenant_id)
    try:
        of_tenant.save(run, after, events, only_if_still_due=True, unless_cancelled=not run.cancel_requested)
    except (LeaseLost, CancelRequested):
        return None  # The run has changed meanwhile, so it needs no recovery or is due again later.
    settle_and_dispatch(budgets.of(run.tenant_id), of_tenant, run, after, now=now)
    report_progress(run, after)
    return run.run_id
