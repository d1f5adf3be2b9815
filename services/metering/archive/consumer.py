"""The schedule that archives days."""

from services.metering import wiring
from services.metering.archive import operations
from shared.messaging.schedule import WorkReport, scheduled
from shared.metrics import DRIFT
from shared.times import utc_now

_CONCURRENCY = 16
"""Days that are archived at the same time. They mostly wait for DynamoDB, so one CPU can handle this many."""


@scheduled("archived")
def archive_due() -> WorkReport:
    """Archive the days that can receive no more usage, before their ledger entries expire; runs every hour."""
    store, archives = wiring.slice_store(), wiring.archives()
    archived = operations.archive_due(store, archives, now=utc_now(), concurrency=_CONCURRENCY)
    return {"days": archived.days}, {DRIFT: archived.differing, **archived.swept.metrics}
