"""The end of a tenant: everything that it used is sent before its subscription ends."""

from contextlib import suppress
from datetime import datetime, timedelta

from services.billing.domain.customer import usage_synced
from services.billing.errors import PaymentsUnavailable
from services.billing.gateways.payments import Payments
from services.billing.operations.customers import get_customer, refresh_subscription
from services.billing.operations.usage import flush
from services.billing.table import closings
from shared.storage.inbox import AlreadyHandled, Delivery
from shared.storage.store import Store
from shared.storage.transaction import Transaction

_AGAIN_AFTER = timedelta(minutes=1)


def close_tenant(store: Store, payments: Payments | None, tenant_id: str, *, delivery: Delivery, now: datetime) -> None:
    """Send the last usage, end the subscription, and publish that this is done.

    Usage that Stripe has refused for good is not waited for.

    Raises:
        PaymentsUnavailable: something is left that Stripe does not take now.
    """
    customer = get_customer(store, tenant_id)
    if payments and customer.stripe_customer_id:
        if flush(store, payments, tenant_id, now=now).open:
            raise PaymentsUnavailable
        # Asked first, because it may have been ended by a try that was cut off here.
        paying = refresh_subscription(store, payments, tenant_id, now=now).paying
        if paying:
            payments.end_now(paying)
            refresh_subscription(store, payments, tenant_id, now=now)
    transaction = Transaction(tenant_id)
    delivery.mark(transaction, store.owned)
    transaction.emit(usage_synced(tenant_id, now=now))
    store.commit(transaction)


def close_or_postpone(
    store: Store, payments: Payments | None, tenant_id: str, *, delivery: Delivery, now: datetime
) -> None:
    """Close a tenant; during an outage leave it to the sweep, which tries for as long as it takes."""
    try:
        close_tenant(store, payments, tenant_id, delivery=delivery, now=now)
    except PaymentsUnavailable:
        closings.save_closing(store, tenant_id, delivery, due_at=now + _AGAIN_AFTER)


def close_postponed(store: Store, payments: Payments, tenant_id: str, *, now: datetime) -> None:
    """Close a tenant whose end was postponed.

    Raises:
        PaymentsUnavailable: as in `close_tenant`.
    """
    delivery = closings.find_closing(store, tenant_id)
    if delivery is None:
        return
    with suppress(AlreadyHandled):
        close_tenant(store, payments, tenant_id, delivery=delivery, now=now)
    closings.remove_closing(store, tenant_id)
