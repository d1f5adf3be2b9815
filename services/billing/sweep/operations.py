"""The sweep over the due work of all capabilities. No entry can stop the others, and an outage changes no state.

Each queue has its own circuit breaker. During an outage, Stripe therefore receives a few requests a minute instead of
one per entry.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from services.billing.closing import operations as closing
from services.billing.closing.table import CLOSINGS
from services.billing.customers.table import GRACE
from services.billing.errors import SubscriptionMissing
from services.billing.stripe_api.domain import Circuit
from services.billing.stripe_webhooks import operations as webhooks
from services.billing.stripe_webhooks.gateway import BillingGateway
from services.billing.stripe_webhooks.table import WEBHOOKS, ReceivedWebhooks
from services.billing.subscriptions import operations as subscriptions
from services.billing.subscriptions.table import DUPLICATES, DuplicateTable
from shared.deadline import remaining_s
from shared.storage.due import DueEntry, DueIndex, DueQueue
from shared.storage.store import Store
from shared.sweep import Swept, sweep

RESERVED_FOR_USAGE_S = 30
"""Seconds of an invocation that the other queues reserve for usage."""


def sweep_others(store: Store, gateway: BillingGateway, *, now: datetime, concurrency: int = 1) -> dict[str, Swept]:
    """Handle the due entries of all queues except usage; return the result of each queue by its name."""

    def end_grace(entry: DueEntry) -> None:
        customer = subscriptions.refresh_subscription(store, gateway, entry.tenant_id, now=now)
        if customer.status == "active" and customer.grace_until and customer.grace_until <= now:
            raise SubscriptionMissing

    def end_duplicate(entry: DueEntry) -> None:
        subscription_id = DuplicateTable(store, entry.tenant_id).id_in(entry.key.sk)
        subscriptions.end_duplicate(store, gateway, entry.tenant_id, subscription_id, now=now)

    def handle_webhook(entry: DueEntry) -> None:
        webhooks.handle(store, gateway, ReceivedWebhooks.event_id_of(entry), now=now)

    def close_tenant(entry: DueEntry) -> None:
        closing.close_postponed(store, gateway, entry.tenant_id, now=now)

    handlers: dict[DueIndex, Callable[[DueEntry], None]] = {
        GRACE: end_grace,
        DUPLICATES: end_duplicate,
        WEBHOOKS: handle_webhook,
        CLOSINGS: close_tenant,
    }
    return {
        kind.name: _sweep(store, kind, handle, now=now, concurrency=concurrency) for kind, handle in handlers.items()
    }


def total_of(swept: Sequence[Swept]) -> Swept:
    """Return the sum of the results of several sweeps."""
    return Swept(
        handled=sum(result.handled for result in swept),
        failed=sum(result.failed for result in swept),
        quarantined=sum(result.quarantined for result in swept),
        left=sum(result.left for result in swept),
    )


def _sweep(
    store: Store, kind: DueIndex, handle: Callable[[DueEntry], None], *, now: datetime, concurrency: int
) -> Swept:
    circuit, queue = Circuit(), DueQueue(store, kind)

    def due() -> Iterator[DueEntry]:
        for entry in queue.entries(now=now):
            if remaining_s() <= RESERVED_FOR_USAGE_S:
                return
            if circuit.allows(entry.tenant_id):
                yield entry

    def handle_one(entry: DueEntry) -> None:
        with circuit.recording(entry.tenant_id):
            handle(entry)

    return sweep(queue, handle_one, now=now, concurrency=concurrency, entries=due())
