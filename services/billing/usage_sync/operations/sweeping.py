"""The sweep over the unsent usage of all tenants. No entry can stop the others, and an outage changes no state.

Each sweep has its own circuit breaker. During an outage, Stripe therefore receives a few requests a minute instead of
one per entry.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from services.billing.customers.domain.customer import Customer
from services.billing.customers.operations import get_customer
from services.billing.errors import PaymentsUnavailable, UsageNotAccepted
from services.billing.stripe_api.domain import Circuit
from services.billing.usage_sync import domain as rules
from services.billing.usage_sync.gateway import MeterEventGateway
from services.billing.usage_sync.operations.booking import MAX_REASONS, Unsent
from services.billing.usage_sync.operations.sending import send_entry
from services.billing.usage_sync.table.entries import REJECTED, UNSENT, SyncLedger
from shared.storage.due import DueEntry, DueQueue
from shared.storage.quarantine import list_quarantined
from shared.storage.store import Store
from shared.sweep import Swept, sweep

SIMULTANEOUS_ENTRIES = 24
"""Nearly all of the time of an entry is waiting for Stripe, which accepts 1,000 meter events a second
(https://docs.stripe.com/billing/subscriptions/usage-based/recording-usage-api)."""
TENANT_BUDGET_S = 60
"""Seconds of handling that one tenant may take of a minute's sweep over usage, a 22nd of the total."""
QUARANTINED_ENTRIES = "Some entries are quarantined: see `ainexus quarantine list`."
_ANY_TIME = datetime(9999, 1, 1, tzinfo=UTC)


@dataclass
class UsageSweep:
    """The result of a sweep over unsent usage."""

    swept: Swept = field(default_factory=Swept)
    lag_s: int = 0
    """How long the oldest due usage has been waiting, in seconds."""
    reasons: set[str] = field(default_factory=set[str])
    """The reasons for unsent entries."""


def sweep_usage(
    store: Store, gateway: MeterEventGateway, *, now: datetime, until: datetime | None = None, concurrency: int = 1
) -> UsageSweep:
    """Send unsent usage, alternating between tenants.

    Args:
        store: the slice of every tenant.
        gateway: the Stripe gateway.
        now: the time.
        until: the latest due time of the entries to send; None for `now`.
        concurrency: the number of entries to send at the same time.
    """
    until = until or now
    circuit, cached, result = Circuit(), dict[str, Customer](), UsageSweep()
    queue = DueQueue(store, UNSENT, SyncLedger)

    def due() -> Iterator[DueEntry]:
        for entry in queue.entries(now=until):
            meter, hour = SyncLedger.meter_and_hour_of(entry)
            result.lag_s = max(result.lag_s, rules.lag_s([hour], now=now))
            if circuit.allows(entry.tenant_id, meter):
                yield entry

    def send(entry: DueEntry) -> None:
        sync_entry = queue.load(entry)
        if sync_entry is None or (sync_entry.is_open and (sync_entry.due_at is None or sync_entry.due_at > until)):
            return  # moved since the index was read
        if not sync_entry.is_open:
            SyncLedger(store, sync_entry.tenant_id).save(sync_entry, sync_entry, due_at=None)
            return
        customer = cached.get(sync_entry.tenant_id) or get_customer(store, sync_entry.tenant_id)
        cached[sync_entry.tenant_id] = customer
        try:
            with circuit.recording(sync_entry.tenant_id, sync_entry.meter):
                send_entry(store, gateway, customer, sync_entry, now=now)
        except (PaymentsUnavailable, UsageNotAccepted) as error:
            result.reasons.add(str(error))
            raise

    result.swept = sweep(queue, send, now=now, concurrency=concurrency, tenant_budget_s=TENANT_BUDGET_S, entries=due())
    return result


def flush_all(
    store: Store, gateway: MeterEventGateway, *, now: datetime, concurrency: int = 1
) -> tuple[UsageSweep, Unsent]:
    """Send all unsent usage of all tenants, including entries that wait for a retry; return the amount that is left."""
    result = sweep_usage(store, gateway, now=now, until=_ANY_TIME, concurrency=concurrency)
    unsent = sum(1 for _ in DueQueue(store, UNSENT).entries(now=_ANY_TIME))
    rejected = sum(1 for _ in DueQueue(store, REJECTED).entries(now=_ANY_TIME))
    quarantined = [failure for failure in list_quarantined(store) if failure.entry.kind == UNSENT.name]
    if quarantined:
        result.reasons.add(QUARANTINED_ENTRIES)
    return result, Unsent(unsent + len(quarantined), rejected, tuple(sorted(result.reasons)[:MAX_REASONS]))
