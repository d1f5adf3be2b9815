"""The schedule of all work that is due."""

from services.billing import wiring
from services.billing.sweep.operations import sweep_others, total_of
from services.billing.usage_sync.operations.sweeping import SIMULTANEOUS_ENTRIES, sweep_usage
from shared.messaging.schedule import WorkReport
from shared.metrics import BILLING_FAILING, DRIFT, DUPLICATE_SUBSCRIPTIONS, SYNC_LAG
from shared.times import utc_now


def sweep() -> WorkReport:
    """Handle all due work: unsent usage, ends of grace periods, duplicate subscriptions, and postponed work."""
    gateway = wiring.find_stripe_gateway()
    if gateway is None:
        return {}, {}
    store, now = wiring.slice_store(), utc_now()
    others = sweep_others(store, gateway, now=now, concurrency=SIMULTANEOUS_ENTRIES)
    sent = sweep_usage(store, gateway, now=now, concurrency=SIMULTANEOUS_ENTRIES)
    total = total_of([sent.swept, *others.values()])
    handled = {kind.lower(): swept.handled for kind, swept in others.items()}
    # Differences and failures have log lines of their own; the zeros here are data for the alarms.
    measured = {SYNC_LAG: sent.lag_s, DRIFT: 0, BILLING_FAILING: 0, DUPLICATE_SUBSCRIPTIONS: 0}
    return {"usage": sent.swept.handled, **handled}, {**measured, **total.metrics}
