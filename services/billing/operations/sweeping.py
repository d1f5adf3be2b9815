"""The minute's work for all tenants, entry by entry: none can stop the others, and an outage changes nothing.

Each sweep has a circuit of its own (`operations.circuit`), so that a Stripe that does not work is asked a few times a
minute and not once for each entry.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from services.billing.domain import usage as rules
from services.billing.domain.customer import Customer
from services.billing.domain.price import BilledMeter
from services.billing.errors import EntryChanged, PaymentsUnavailable, SubscriptionMissing, UsageNotAccepted
from services.billing.gateways.payments import Payments
from services.billing.operations import closing, duplicates, webhooks
from services.billing.operations.circuit import Circuit
from services.billing.operations.customers import get_customer, refresh_subscription
from services.billing.operations.sending import send_entry
from services.billing.operations.usage import MAX_REASONS, Unsent
from services.billing.table import closings, customers, notices
from services.billing.table import duplicates as duplicate_table
from services.billing.table import entries as ledger
from shared.deadline import remaining_s
from shared.storage.due import DueEntry, DueQueue, list_quarantined
from shared.storage.store import Store
from shared.sweep import Swept, sweep

AT_ONCE = 8
"""Entries that are handled at the same time; nearly all of it is waiting for Stripe."""
TENANT_BUDGET_S = 60
"""Seconds of handling that one tenant may take of a minute's sweep over usage: an eighth of what there is."""
QUARANTINED_ENTRIES = "Some entries are quarantined: see `ainexus quarantine list`."
_ANY_TIME = datetime(9999, 1, 1, tzinfo=UTC)
LEFT_TO_USAGE_S = 30
"""Seconds of an invocation that the other queues leave to usage."""


@dataclass
class UsageSweep:
    """The result of a sweep over unsent usage."""

    swept: Swept = field(default_factory=Swept)
    lag_s: int = 0
    """For how long the oldest usage that was due has been waiting, in seconds."""
    reasons: set[str] = field(default_factory=set[str])
    """Why some were not sent."""


def sweep_usage(
    store: Store, payments: Payments, *, now: datetime, until: datetime | None = None, concurrency: int = 1
) -> UsageSweep:
    """Send what is left over of all tenants, in turns.

    Args:
        store: the slice of every tenant.
        payments: Stripe.
        now: the time.
        until: also what becomes due by then; None: what is due now.
        concurrency: how many entries are sent at the same time.
    """
    until = until or now
    circuit, cached, result = Circuit(), dict[str, Customer](), UsageSweep()
    queue = DueQueue(store, ledger.SYNC)

    def due() -> Iterator[DueEntry]:
        for entry in queue.entries(now=until):
            meter, hour = ledger.meter_and_hour_of(entry.key)
            result.lag_s = max(result.lag_s, rules.lag_s([hour], now=now))
            if circuit.allows(entry.tenant_id, meter):
                yield entry

    def send(entry: DueEntry) -> None:
        found = ledger.entry_at(store, entry.key)
        if found is None or (found.is_open and (found.due_at is None or found.due_at > until)):
            return  # moved since the index was read
        if not found.is_open:
            ledger.save_entry(store, found, found, due_at=None)
            return
        customer = cached.get(found.tenant_id) or get_customer(store, found.tenant_id)
        cached[found.tenant_id] = customer
        try:
            with _noted(circuit, found.tenant_id, found.meter):
                send_entry(store, payments, customer, found, now=now)
        except (PaymentsUnavailable, UsageNotAccepted) as error:
            result.reasons.add(str(error))
            raise

    result.swept = sweep(queue, send, now=now, concurrency=concurrency, tenant_budget_s=TENANT_BUDGET_S, entries=due())
    return result


def flush_all(store: Store, payments: Payments, *, now: datetime, concurrency: int = 1) -> tuple[UsageSweep, Unsent]:
    """Send what is unsent of all tenants, also what waits for another attempt; return what is left."""
    result = sweep_usage(store, payments, now=now, until=_ANY_TIME, concurrency=concurrency)
    waiting = sum(1 for _ in DueQueue(store, ledger.SYNC).entries(now=_ANY_TIME))
    rejected = sum(1 for _ in DueQueue(store, ledger.REJECTED).entries(now=_ANY_TIME))
    poison = [failure for failure in list_quarantined(store) if failure.entry.kind == ledger.SYNC]
    if poison:
        result.reasons.add(QUARANTINED_ENTRIES)
    return result, Unsent(waiting + len(poison), rejected, tuple(sorted(result.reasons)[:MAX_REASONS]))


def sweep_others(store: Store, payments: Payments, *, now: datetime, concurrency: int = 1) -> dict[str, Swept]:
    """Handle what is due besides usage; return the result of each queue by its name."""

    def end_grace(entry: DueEntry) -> None:
        customer = refresh_subscription(store, payments, entry.tenant_id, now=now)
        if customer.status == "active" and customer.grace_until and customer.grace_until <= now:
            raise SubscriptionMissing

    def end_duplicate(entry: DueEntry) -> None:
        subscription_id = duplicate_table.subscription_id_of(entry.key)
        duplicates.end_duplicate(store, payments, entry.tenant_id, subscription_id, now=now)

    def handle_notice(entry: DueEntry) -> None:
        webhooks.handle(store, payments, notices.event_id_of(entry.key), now=now)

    def close_tenant(entry: DueEntry) -> None:
        closing.close_postponed(store, payments, entry.tenant_id, now=now)

    handlers: dict[str, Callable[[DueEntry], None]] = {
        customers.GRACE: end_grace,
        duplicate_table.QUEUE: end_duplicate,
        notices.QUEUE: handle_notice,
        closings.QUEUE: close_tenant,
    }
    return {kind: _sweep(store, kind, handle, now=now, concurrency=concurrency) for kind, handle in handlers.items()}


def total_of(swept: Sequence[Swept]) -> Swept:
    """Return the numbers of several sweeps together."""
    return Swept(
        handled=sum(one.handled for one in swept),
        failed=sum(one.failed for one in swept),
        quarantined=sum(one.quarantined for one in swept),
        left=sum(one.left for one in swept),
    )


def _sweep(store: Store, kind: str, handle: Callable[[DueEntry], None], *, now: datetime, concurrency: int) -> Swept:
    circuit, queue = Circuit(), DueQueue(store, kind)

    def due() -> Iterator[DueEntry]:
        for entry in queue.entries(now=now):
            if remaining_s() <= LEFT_TO_USAGE_S:
                return
            if circuit.allows(entry.tenant_id):
                yield entry

    def handle_one(entry: DueEntry) -> None:
        with _noted(circuit, entry.tenant_id):
            handle(entry)

    return sweep(queue, handle_one, now=now, concurrency=concurrency, entries=due())


@contextmanager
def _noted(circuit: Circuit, tenant_id: str, meter: BilledMeter | None = None) -> Generator[None]:
    """Let the circuit know how the work in this block ends; work that another function does is done."""
    try:
        yield
    except EntryChanged:
        return
    except PaymentsUnavailable as error:
        circuit.failed(error, tenant_id=tenant_id, meter=meter)
        raise
    circuit.succeeded()
