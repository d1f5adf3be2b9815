"""The reaper: every minute, what is overdue: runs without a worker, forgotten calls, deletions that were cut off."""

from typing import Any

from services.runs import wiring
from services.runs.operations.budgets import sweep
from services.runs.operations.deletion import clear_deleted
from services.runs.operations.reaping import reap
from services.runs.operations.stopping import finish_stops
from shared.observability import logger
from shared.times import utc_now


def handler(_: dict[str, Any], context: object = None) -> None:  # noqa: ARG001 — Lambda passes it
    """Give back, end, stop, settle or clear what is overdue."""
    runs, budgets, now = wiring.slice_runs(), wiring.slice_budgets(), utc_now()
    logger.info(
        "reaped",
        runs=reap(runs, budgets, now=now),
        calls=sweep(budgets, runs, now=now),
        stopped=finish_stops(wiring.slice_store(), runs, budgets, now=now),
        cleared=clear_deleted(runs, now=now),
    )
