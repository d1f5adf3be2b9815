"""The end of a tenant: everything that it used is sent before its subscription ends."""

from datetime import datetime

from services.billing.domain.customer import usage_synced
from services.billing.errors import PaymentsUnavailable
from services.billing.gateways.payments import Payments
from services.billing.operations.customers import get_customer, refresh_subscription
from services.billing.operations.usage import flush
from shared.storage.inbox import Delivery
from shared.storage.store import Store
from shared.storage.transaction import Transaction


def close_tenant(store: Store, payments: Payments | None, tenant_id: str, *, delivery: Delivery, now: datetime) -> None:
    """Send the last usage, end the subscription, and say so.

    Raises:
        PaymentsUnavailable: something is left that Stripe does not take now.
    """
    customer = get_customer(store, tenant_id)
    if payments and customer.stripe_customer_id:
        if not flush(store, payments, tenant_id, now=now):
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
