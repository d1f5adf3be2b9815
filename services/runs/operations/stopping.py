"""Ending all runs of a tenant that is being deleted."""

from datetime import datetime

from services.runs.domain.stop import Stop, end_stop
from services.runs.errors import RunAlreadyEnded, RunNotFound
from services.runs.operations.steering import cancel_run
from services.runs.table import stopping as table
from services.runs.table.budgets import BudgetTable
from services.runs.table.runs import RunTable
from shared.errors import Conflict
from shared.observability import logger
from shared.storage.store import Store


def begin_stop(store: Store, tenant_id: str, *, seq: int, now: datetime) -> None:
    """From now on the reaper ends the tenant's runs."""
    table.add_stop(store, tenant_id, Stop(tenant_id, seq, now))


def finish_stops(store: Store, runs: RunTable, budgets: BudgetTable, *, now: datetime) -> int:
    """Cancel what is under way in tenants that are being deleted; says how many of them have no run left."""
    finished = 0
    for stop in table.stops(store):
        left = 0
        for run_id in runs.under_way(stop.tenant_id):
            try:
                cancel_run(runs, budgets, stop.tenant_id, run_id, now=now, if_match=None)
            except (RunAlreadyEnded, RunNotFound):
                continue
            except Conflict:
                logger.warning("a run of a tenant that is being deleted is changing", run_id=run_id)
            left += 1
        if stop.is_over(runs_left=left, now=now):
            table.end_stop(store, stop.tenant_id, end_stop(stop, now=now))
            finished += 1
    return finished
