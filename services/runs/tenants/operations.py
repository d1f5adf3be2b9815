"""The end of all runs of a tenant that is being deleted."""

from collections.abc import Callable
from datetime import datetime, timedelta

from services.runs.budgets.table.budgets import AllBudgets, BudgetTable
from services.runs.errors import RunAlreadyEnded, RunNotFound
from services.runs.execution.operations.cancel import cancel_run
from services.runs.runs.table.runs import AllRuns, RunTable
from services.runs.tenants.domain import RunStop, stopped_event
from services.runs.tenants.table import STOPS, StopTable
from shared.deadline import bounded_s
from shared.errors import Conflict, DependencyUnavailable
from shared.failures import facts_of
from shared.observability import logger
from shared.storage.due import DueEntry, DueQueue
from shared.storage.store import Store
from shared.sweep import TENANT_BUDGET_S, Swept, sweep

_CHECK_INTERVAL = timedelta(seconds=10)
"""The interval at which the reaper checks whether the runs of a tenant have ended."""


def begin_stop(store: Store, tenant_id: str, *, seq: int, now: datetime) -> None:
    """Let the reaper end the tenant's runs from now on."""
    StopTable(store, tenant_id).begin(RunStop(tenant_id, seq, now))


def finish_stops(
    store: Store,
    runs: AllRuns,
    budgets: AllBudgets,
    *,
    now: datetime,
    monotonic: Callable[[], float],
) -> Swept:
    """Cancel what is under way in tenants that are being deleted, each for `TENANT_BUDGET_S` at most.

    Args:
        store: the slice of every tenant.
        runs: the runs.
        budgets: the budgets.
        now: the time.
        monotonic: the clock of `TENANT_BUDGET_S`, in seconds.

    Returns:
        The result of the sweep; its results are the tenants without any run left.
    """
    queue = DueQueue(store, STOPS, StopTable)

    def handle(entry: DueEntry) -> str | None:
        stop = queue.load(entry)
        if stop is None:
            return None
        ends_at = monotonic() + bounded_s(TENANT_BUDGET_S)
        left, checked_to = _cancel_all(
            runs.of(stop.tenant_id),
            budgets.of(stop.tenant_id),
            stop,
            now=now,
            has_time=lambda: monotonic() < ends_at,
        )
        if not stop.is_over(runs_left=left, now=now):
            # A run that comes later is newer than those that were checked.
            if checked_to and stop.is_quiet(now=now):
                StopTable(store, stop.tenant_id).set_checked_to(checked_to)
            queue.postpone(entry, at=now + _CHECK_INTERVAL)
            return None
        StopTable(store, stop.tenant_id).end(stopped_event(stop, now=now))
        return stop.tenant_id

    return sweep(queue, handle, now=now)


def _cancel_all(
    runs: RunTable, budgets: BudgetTable, stop: RunStop, *, now: datetime, has_time: Callable[[], bool]
) -> tuple[int, str | None]:
    """Cancel runs while there is time, first those that wait for a slot.

    Returns:
        How many may not have ended, at least one if the time ran out; and the run to go on from.
    """
    left, checked_to = 0, stop.checked_to
    for run_id in runs.backlog.run_ids():
        if not has_time():
            return left + 1, checked_to
        left += not _has_ended(runs, budgets, run_id, now=now)
    for run_id, is_due in runs.listing.ids_with_due(before=stop.checked_to):
        if not has_time():
            return left + 1, checked_to
        if is_due:
            left += not _has_ended(runs, budgets, run_id, now=now)
        if not left:
            checked_to = run_id
    return left, checked_to


def _has_ended(runs: RunTable, budgets: BudgetTable, run_id: str, *, now: datetime) -> bool:
    """Cancel a run; return whether it had ended before."""
    try:
        cancel_run(runs, budgets, run_id, now=now, if_match=None)
    except (RunAlreadyEnded, RunNotFound):
        return True
    except Conflict:
        logger.warning("a run of a tenant that is being deleted is changing", run_id=run_id)
    except DependencyUnavailable:
        raise
    except Exception as error:  # noqa: BLE001 — the reaper fails at this run too, and quarantines it
        logger.warning("a run of a tenant that is being deleted cannot be ended", run_id=run_id, **facts_of(error))
    return False
