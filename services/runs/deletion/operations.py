"""Deleting runs: out of sight in one write, then piece by piece out of the store."""

from datetime import datetime

from services.runs.domain.artifact import delete_artifacts
from services.runs.errors import RunNotEnded
from services.runs.operations.budgets import settle_all
from services.runs.table.budgets import BudgetTable
from services.runs.table.runs import RunTable
from shared.errors import DependencyUnavailable
from shared.http.etag import check_if_match
from shared.observability import logger
from shared.storage.due import DueEntry
from shared.sweep import Swept, sweep


def delete_run(
    runs: RunTable, budgets: BudgetTable, tenant_id: str, run_id: str, *, now: datetime, if_match: str | None
) -> None:
    """Delete a run that has ended, with all that was stored for it; what it used stays counted.

    Raises:
        RunNotFound: there is no such run, or no more.
        RunNotEnded: it has not.
    """
    run = runs.get(tenant_id, run_id)
    check_if_match(if_match, run.seq)
    if not run.status.final:
        raise RunNotEnded
    settle_all(budgets, run)
    runs.bury(run, delete_artifacts(run, now=now), now=now)
    try:
        runs.clear(tenant_id, run_id)
    except DependencyUnavailable:
        logger.warning("a deleted run is left to the reaper", run_id=run_id)


def clear_deleted(runs: RunTable, *, now: datetime, concurrency: int = 1) -> Swept:
    """Go on with deletions that were cut off."""

    def handle(entry: DueEntry) -> None:
        runs.clear(entry.tenant_id, entry.key.pk.rpartition("#")[2])

    return sweep(runs.buried, handle, now=now, concurrency=concurrency)
