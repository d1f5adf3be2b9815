"""The end of a tenant: its remaining usage is sent before its subscription ends."""

from contextlib import suppress
from datetime import datetime, timedelta
from typing import Protocol

from services.billing.closing.table import ClosingTable
from services.billing.customers.domain.customer import usage_synced
from services.billing.customers.operations import get_customer
from services.billing.errors import PaymentsUnavailable
from services.billing.subscriptions.gateway.subscriptions import SubscriptionGateway
from services.billing.subscriptions.operations import refresh_subscription
from services.billing.usage_sync.gateway import MeterEventGateway
from services.billing.usage_sync.operations.booking import flush
from shared.storage.inbox import AlreadyHandled, Delivery
from shared.storage.store import Store
from shared.storage.transaction import Transaction

_RETRY_DELAY = timedelta(minutes=1)


class ClosingGateway(SubscriptionGateway, MeterEventGateway, Protocol):
    """Subscriptions and meter events at Stripe."""


def close_tenant(
    store: Store, gateway: ClosingGateway | None, tenant_id: str, *, delivery: Delivery, now: datetime
) -> None:
    """Send the remaining usage, end the subscription and publish `usage.synced`.

    Rejected entries do not delay the end.

    Raises:
        PaymentsUnavailable: Stripe does not accept some of the usage now.
    """
    customer = get_customer(store, tenant_id)
    if gateway and customer.stripe_customer_id:
        if flush(store, gateway, tenant_id, now=now).open:
            raise PaymentsUnavailable
        # An earlier, interrupted attempt may have ended the subscription, so read it again.
        subscription = refresh_subscription(store, gateway, tenant_id, now=now).ongoing_subscription
        if subscription:
            gateway.end_subscription(subscription)
            refresh_subscription(store, gateway, tenant_id, now=now)
    transaction = Transaction(tenant_id)
    delivery.mark(transaction, store.owned)
    transaction.emit(usage_synced(tenant_id, now=now))
    store.commit(transaction)


def close_or_postpone(
    store: Store, gateway: ClosingGateway | None, tenant_id: str, *, delivery: Delivery, now: datetime
) -> None:
    """Close a tenant. During an outage, leave it to the sweep, which retries without a limit."""
    try:
        close_tenant(store, gateway, tenant_id, delivery=delivery, now=now)
    except PaymentsUnavailable:
        ClosingTable(store, tenant_id).save(delivery, due_at=now + _RETRY_DELAY)


def close_postponed(store: Store, gateway: ClosingGateway, tenant_id: str, *, now: datetime) -> None:
    """Close a tenant whose end was postponed.

    Raises:
        PaymentsUnavailable: as in `close_tenant`.
    """
    closing = ClosingTable(store, tenant_id)
    delivery = closing.find()
    if delivery is None:
        return
    with suppress(AlreadyHandled):
        close_tenant(store, gateway, tenant_id, delivery=delivery, now=now)
    closing.remove()
