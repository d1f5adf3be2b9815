"""The reaper: what is overdue. Runs without a worker, forgotten calls and slots, deletions that were cut off."""

import math
import time

from services.runs import wiring
from services.runs.operations.deletion import clear_deleted
from services.runs.operations.reaping import reap
from services.runs.operations.stopping import finish_stops
from services.runs.operations.sweeping import sweep_budgets
from shared.deadline import remaining_s
from shared.messaging.schedule import Done, scheduled
from shared.metrics import Metric
from shared.sweep import Swept
from shared.times import utc_now

PASS_EVERY_S = 15.0
"""A run whose worker has died begins again within a minute, and no schedule comes more often than once in one."""
_AT_ONCE = 8
"""Entries that a pass handles at the same time; most of that time is waiting for the database."""


@scheduled("reaped")
def handler() -> Done:
    """Look at what is overdue, several times in the minute until the next schedule."""
    passes = [_look()]
    while PASS_EVERY_S < remaining_s() < math.inf:
        time.sleep(PASS_EVERY_S)
        passes.append(_look())
    return _sum(passes)


def _look() -> dict[str, Swept]:
    runs, budgets, now = wiring.slice_runs(), wiring.slice_budgets(), utc_now()
    return {
        "runs": reap(runs, budgets, now=now, concurrency=_AT_ONCE),
        "budgets": sweep_budgets(budgets, runs, wiring.slice_access, now=now, concurrency=_AT_ONCE),
        "stopped": finish_stops(wiring.slice_store(), runs, budgets, now=now),
        "cleared": clear_deleted(runs, now=now, concurrency=_AT_ONCE),
    }


def _sum(passes: list[dict[str, Swept]]) -> Done:
    """Return what was done in all passes; of what is left, the last one knows."""
    facts = {name: sum(len(one[name].results) or one[name].handled for one in passes) for name in passes[0]}
    measured: dict[Metric, float] = {}
    for swept in (swept for one in passes for swept in one.values()):
        for metric, value in swept.metrics.items():
            measured[metric] = measured.get(metric, 0) + value
    return facts, measured
