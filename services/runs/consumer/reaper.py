"""The reaper: every minute, runs that nobody has leased in time, lost leases, and budgets with forgotten calls."""

from typing import Any

from services.runs import wiring
from services.runs.operations.budgets import sweep
from services.runs.operations.reaping import reap
from shared.observability import logger
from shared.times import utc_now


def handler(_: dict[str, Any], context: object = None) -> None:  # noqa: ARG001 — Lambda passes it
    """Give back or end what is overdue, and settle what was left open."""
    runs, budgets, now = wiring.slice_runs(), wiring.slice_budgets(), utc_now()
    logger.info("reaped", runs=reap(runs, budgets, now=now), calls=sweep(budgets, runs, now=now))
