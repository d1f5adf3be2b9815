"""Finding what is overdue: runs that nobody has leased in time, lost leases, tool outputs that never came."""

from datetime import datetime

from services.runs.domain import lifecycle
from services.runs.errors import CancelRequested, LeaseLost
from services.runs.operations.budgets import settle
from services.runs.operations.reporting import report_progress
from services.runs.table.budgets import BudgetTable
from services.runs.table.runs import RunTable
from shared.errors import DependencyUnavailable
from shared.observability import logger


def reap(runs: RunTable, budgets: BudgetTable, *, now: datetime) -> int:
    """Give every run that is due back to the queue, or end it; says how many."""
    reaped = 0
    for run in runs.due(now=now):
        after, events = lifecycle.give_back(run, now=now)
        try:
            runs.save(run, after, events, only_if_still_due=True, unless_cancelled=not run.cancel_requested)
        except (LeaseLost, CancelRequested):
            continue  # It moved on in this moment, which is what the reaper wants; or must be looked at again.
        except DependencyUnavailable:
            logger.warning("a run that is due is left to the next look", run_id=run.run_id)
            continue
        settle(budgets, run, after)
        report_progress(run, after)
        reaped += 1
    return reaped
