"""The reaper: every minute, what is overdue: runs without a worker, forgotten calls, deletions that were cut off."""

from services.runs import wiring
from services.runs.operations.budgets import sweep
from services.runs.operations.deletion import clear_deleted
from services.runs.operations.reaping import reap
from services.runs.operations.stopping import finish_stops
from shared.messaging.schedule import Done, scheduled
from shared.times import utc_now


@scheduled("reaped")
def handler() -> Done:
    """Give back, end, stop, settle or clear what is overdue."""
    runs, budgets, now = wiring.slice_runs(), wiring.slice_budgets(), utc_now()
    done = {
        "runs": reap(runs, budgets, now=now),
        "calls": sweep(budgets, runs, now=now),
        "stopped": finish_stops(wiring.slice_store(), runs, budgets, now=now),
        "cleared": clear_deleted(runs, now=now),
    }
    return done, {}
