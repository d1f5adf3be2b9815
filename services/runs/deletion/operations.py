"""Deletion of runs: the run is replaced by a tombstone in one write, then its data is deleted piece by piece."""

from datetime import datetime

from services.runs.budgets.operations.settlement import settle_all
from services.runs.budgets.table.budgets import BudgetTable
from services.runs.errors import RunNotEnded
from services.runs.runs.domain.artifact import delete_artifacts
from services.runs.runs.table.runs import AllRuns, RunTable
from shared.errors import DependencyUnavailable
from shared.observability import logger
from shared.preconditions import check_if_match
from shared.storage.due import DueEntry
from shared.sweep import Swept, sweep


def delete_run(runs: RunTable, budgets: BudgetTable, run_id: str, *, now: datetime, if_match: str | None) -> None:
    """Delete an ended run and all its stored data; its usage stays counted.

    Raises:
        RunNotFound: the run does not exist, or no longer.
        RunNotEnded: the run has not ended.
    """
    run = runs.get(run_id)
    check_if_match(if_match, run.seq)
    if not run.status.final:
        raise RunNotEnded
    settle_all(budgets, run)
    runs.soft_delete(run, delete_artifacts(run, now=now), now=now)
    try:
        runs.clear(run_id)
    except DependencyUnavailable:
        logger.warning("a deleted run is left to the reaper", run_id=run_id)


def clear_deleted(runs: AllRuns, *, now: datetime, concurrency: int = 1) -> Swept:
    """Complete interrupted deletions."""

    def handle(entry: DueEntry) -> None:
        of_tenant = runs.of(entry.tenant_id)
        of_tenant.clear(of_tenant.tombstones.run_id_in(entry.key))

    return sweep(runs.tombstones, handle, now=now, concurrency=concurrency)
