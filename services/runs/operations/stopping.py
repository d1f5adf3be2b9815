"""Ending all runs of a tenant that is being deleted."""

from datetime import datetime, timedelta

from services.runs.domain.stop import Stop, end_stop
from services.runs.errors import RunAlreadyEnded, RunNotFound
from services.runs.operations.steering import cancel_run
from services.runs.table import stopping as table
from services.runs.table.budgets import BudgetTable
from services.runs.table.runs import RunTable
from shared.deadline import remaining_s
from shared.errors import Conflict
from shared.observability import logger
from shared.storage.due import DueEntry
from shared.storage.store import Store
from shared.sweep import Swept, sweep

_LOOKED_AT = timedelta(seconds=10)
"""How often the reaper looks whether the runs of a tenant have ended."""


def begin_stop(store: Store, tenant_id: str, *, seq: int, now: datetime) -> None:
    """From now on the reaper ends the tenant's runs."""
    table.add_stop(store, tenant_id, Stop(tenant_id, seq, now))


def finish_stops(store: Store, runs: RunTable, budgets: BudgetTable, *, now: datetime) -> Swept:
    """Cancel what is under way in tenants that are being deleted.

    Returns:
        Its results are the tenants that have no run left.
    """
    queue = table.queue(store)

    def handle(entry: DueEntry) -> str | None:
        stop = table.find_stop(store, entry.tenant_id)
        if stop is None:
            return None
        left = _cancel_all(runs, budgets, stop.tenant_id, now=now)
        if not stop.is_over(runs_left=left, now=now):
            queue.put_back(entry, at=now + _LOOKED_AT)
            return None
        table.end_stop(store, stop.tenant_id, end_stop(stop, now=now))
        return stop.tenant_id

    return sweep(queue, handle, now=now)


def _cancel_all(runs: RunTable, budgets: BudgetTable, tenant_id: str, *, now: datetime) -> int:
    """Cancel runs until the time is over; return how many may not have ended, at least one then."""
    left = 0
    for run_id in runs.under_way(tenant_id):
        if remaining_s() <= 0:
            return left + 1
        try:
            cancel_run(runs, budgets, tenant_id, run_id, now=now, if_match=None)
        except (RunAlreadyEnded, RunNotFound):
            continue
        except Conflict:
            logger.warning("a run of a tenant that is being deleted is changing", run_id=run_id)
        left += 1
    return left
