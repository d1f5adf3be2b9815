"""The reaper: overdue work. Runs without a worker, forgotten calls and slots, interrupted deletions."""

from collections import Counter

from services.runs import wiring
from services.runs.operations.deletion import clear_deleted
from services.runs.operations.reaping import reap
from services.runs.operations.stopping import finish_stops
from services.runs.operations.sweeping import sweep_budgets
from shared.messaging.schedule import Done, scheduled
from shared.metrics import Metric
from shared.times import utc_now

EVERY_S = 15.0
"""A run whose worker has died begins again within a minute."""
_AT_ONCE = 8
"""Entries that are handled at the same time; most of that time is waiting for the database."""


@scheduled("reaped", every_s=EVERY_S)
def handler() -> Done:
    """Give back, end, start, settle or clear what is overdue."""
    runs, budgets, now = wiring.slice_runs(), wiring.slice_budgets(), utc_now()
    swept = {
        "runs": reap(runs, budgets, now=now, concurrency=_AT_ONCE),
        "budgets": sweep_budgets(budgets, runs, wiring.slice_access, now=now, concurrency=_AT_ONCE),
        "stops": finish_stops(wiring.slice_store(), runs, budgets, now=now),
        "deletions": clear_deleted(runs, now=now, concurrency=_AT_ONCE),
    }
    measured = Counter[Metric]()
    for one in swept.values():
        measured.update({metric: int(value) for metric, value in one.metrics.items()})
    return {name: one.handled for name, one in swept.items()}, measured
