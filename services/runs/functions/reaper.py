"""The reaper: recovers runs without a worker, abandoned calls and slots, and interrupted deletions."""

import time
from collections import Counter

from services.runs import wiring
from services.runs.budgets.operations.sweep import sweep_budgets
from services.runs.datasets.operations.datasets import clear_removed
from services.runs.datasets.operations.uploads import sweep_uploads
from services.runs.deletion.operations import clear_deleted
from services.runs.execution.operations.recovery import expire_tool_calls, reap
from services.runs.experiments.operations.scheduling import check_experiments
from services.runs.tenants.operations import finish_stops
from shared.messaging.schedule import WorkReport, scheduled
from shared.metrics import Metric
from shared.times import utc_now

EVERY_S = 15.0
"""A run whose worker has died starts again within a minute."""
SIMULTANEOUS_ENTRIES = 16
"""Most of the time of an entry is waiting for the database. With 16, the budgets of 100,000 tenants take 4 minutes."""


@scheduled("reaped", every_s=EVERY_S)
def handler() -> WorkReport:
    """Requeue, end, start, settle or clear overdue entries."""
    runs, budgets, now = wiring.slice_runs(), wiring.slice_budgets(), utc_now()
    store, files = wiring.slice_store(), wiring.slice_datasets()
    swept = {
        "runs": reap(runs, budgets, now=now, concurrency=SIMULTANEOUS_ENTRIES),
        "budgets": sweep_budgets(budgets, runs, wiring.slice_access, now=now, concurrency=SIMULTANEOUS_ENTRIES),
        "tools": expire_tool_calls(runs, budgets, now=now, concurrency=SIMULTANEOUS_ENTRIES),
        "deletions": clear_deleted(runs, now=now, concurrency=SIMULTANEOUS_ENTRIES),
        "uploads": sweep_uploads(store, files, now=now, concurrency=SIMULTANEOUS_ENTRIES),
        "datasets": clear_removed(store, files, now=now, concurrency=SIMULTANEOUS_ENTRIES),
        "experiments": check_experiments(store, now=now, concurrency=SIMULTANEOUS_ENTRIES),
        "stops": finish_stops(store, runs, budgets, now=now, monotonic=time.monotonic),
    }
    measured = Counter[Metric]()
    for one in swept.values():
        measured.update({metric: int(value) for metric, value in one.metrics.items()})
    return {name: one.handled for name, one in swept.items()}, measured
