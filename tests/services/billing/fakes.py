"""Fakes of Stripe and of the webhook queue. Tests set their objects and failures."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from services.billing.catalog.domain import BilledMeter, Catalog, Price, SetupAction, StripePrice
from services.billing.customers.domain.subscription import Subscription, SubscriptionState
from services.billing.errors import PaymentsUnavailable
from services.billing.invoices.domain import Invoice
from services.billing.stripe_webhooks.domain import PaymentRef
from services.billing.subscriptions.domain import Checkout, CheckoutOrder
from services.billing.usage_sync.domain import SyncEntry
from services.billing.usage_sync.gateway import SumInterval
from shared.plans import Plan

CHECKOUT_ENDS = datetime(2026, 11, 23, tzinfo=UTC)


def _fine(_: SyncEntry) -> None:
    """Do nothing."""


def _nothing(_: str) -> None:
    """Do nothing."""


def _ended(subscription: Subscription) -> Subscription:
    return replace(subscription, state=SubscriptionState.CANCELED, ended_at=subscription.started_at)


@dataclass
class FakePayments:
    """See `BillingGateway`."""

    tenants: dict[str, str] = field(default_factory=dict[str, str])
    """Tenants by customer id."""
    subscriptions: dict[str, list[Subscription]] = field(default_factory=dict[str, list[Subscription]])
    """Subscriptions by customer id."""
    invoices: dict[str, Invoice] = field(default_factory=dict[str, Invoice])
    meter_events: dict[str, tuple[str, SyncEntry]] = field(default_factory=dict[str, tuple[str, SyncEntry]])
    """Customer and entry of the accepted meter events, by identifier."""
    orders: list[tuple[CheckoutOrder, str | None]] = field(default_factory=list[tuple[CheckoutOrder, str | None]])
    subscription_changes: list[tuple[str, str, Plan | None]] = field(default_factory=list[tuple[str, str, Plan | None]])
    """The changes of subscriptions: operation, subscription id and plan."""
    payment_customers: dict[str, str] = field(default_factory=dict[str, str])
    """Customer ids by the id of their payment intent or charge."""
    open_checkouts: dict[str, tuple[str, str | None]] = field(default_factory=dict[str, tuple[str, str | None]])
    """Customer id and key of the open pages, by checkout id."""
    paid_cents: dict[str, int] = field(default_factory=dict[str, int])
    """Cents paid and not refunded, by subscription id."""
    refunds: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])
    failing: dict[str, Exception] = field(default_factory=dict[str, Exception])
    """Errors that reading a customer's subscriptions raises, by customer id."""
    before_close_checkouts: Callable[[str], None] = _nothing
    before_end_duplicate: Callable[[str], None] = _nothing
    before_send: Callable[[SyncEntry], None] = _fine
    after_send: Callable[[SyncEntry], None] = _fine
    """Called after an event is stored. It may raise, as if the response was lost."""

    def create_customer(self, tenant_id: str) -> str:
        """See `BillingGateway.create_customer`."""
        customer_id = f"cus_{tenant_id}"
        self.tenants[customer_id] = tenant_id
        return customer_id

    def tenant_of(self, customer_id: str) -> str | None:
        """See `BillingGateway.tenant_of`."""
        return self.tenants.get(customer_id)

    def subscriptions_of(self, customer_id: str) -> list[Subscription]:
        """See `BillingGateway.subscriptions_of`."""
        with suppress(KeyError):
            raise self.failing[customer_id]
        return list(self.subscriptions.get(customer_id, ()))

    def read_invoice(self, invoice_id: str) -> Invoice | None:
        """See `BillingGateway.read_invoice`."""
        return self.invoices.get(invoice_id)

    def customer_of_payment(self, payment: PaymentRef) -> str | None:
        """See `BillingGateway.customer_of_payment`."""
        return self.payment_customers.get(payment.payment_intent_id or "") or self.payment_customers.get(
            payment.charge_id or ""
        )

    def start_checkout(self, customer_id: str, order: CheckoutOrder, *, key: str | None) -> Checkout:
        """See `BillingGateway.start_checkout`."""
        self.orders.append((order, key))
        checkout_id = f"cs_{len(self.orders)}"
        self.open_checkouts[checkout_id] = (customer_id, key)
        return Checkout(checkout_id, f"https://checkout.test/{customer_id}", CHECKOUT_ENDS)

    def close_checkouts(self, customer_id: str, *, keep: str | None = None) -> None:
        """See `BillingGateway.close_checkouts`."""
        self.before_close_checkouts(customer_id)
        for checkout_id, (customer, key) in list(self.open_checkouts.items()):
            if customer == customer_id and (keep is None or key != keep):
                del self.open_checkouts[checkout_id]

    def open_portal(self, customer_id: str, *, return_url: str) -> str:
        """See `BillingGateway.open_portal`."""
        return f"https://portal.test/{customer_id}?return={return_url}"

    def change_plan(self, subscription: Subscription, plan: Plan) -> None:
        """See `BillingGateway.change_plan`."""
        self.subscription_changes.append(("change_plan", subscription.subscription_id, plan))
        self._change(subscription, plan=plan, next_plan=None)

    def change_plan_at_end(self, subscription: Subscription, plan: Plan) -> None:
        """See `BillingGateway.change_plan_at_end`."""
        self.subscription_changes.append(("change_plan_at_end", subscription.subscription_id, plan))
        self._change(subscription, next_plan=plan)

    def cancel_plan_change(self, subscription: Subscription) -> None:
        """See `BillingGateway.cancel_plan_change`."""
        self.subscription_changes.append(("keep_plan", subscription.subscription_id, None))
        self._change(subscription, next_plan=None)

    def end_subscription(self, subscription: Subscription) -> None:
        """See `BillingGateway.end_subscription`."""
        self.subscription_changes.append(("end_now", subscription.subscription_id, None))

    def end_duplicate(self, subscription_id: str) -> int:
        """See `BillingGateway.end_duplicate`."""
        self.before_end_duplicate(subscription_id)
        for found in self.subscriptions.values():
            found[:] = [_ended(one) if one.subscription_id == subscription_id else one for one in found]
        refunded_cents = self.paid_cents.pop(subscription_id, 0)
        self.refunds.append((subscription_id, refunded_cents))
        return refunded_cents

    def send(self, customer_id: str, entry: SyncEntry) -> None:
        """See `BillingGateway.send`."""
        self.before_send(entry)
        self.meter_events.setdefault(entry.identifier, (customer_id, entry))
        self.after_send(entry)

    def sum_of(self, customer_id: str, meter: BilledMeter, *, start: datetime, end: datetime) -> int:
        """See `BillingGateway.sum_of`."""
        return sum(
            entry.quantity
            for customer, entry in self.meter_events.values()
            if customer == customer_id and entry.meter is meter and start <= entry.timestamp < end
        )

    def sums_by(
        self, step: SumInterval, customer_id: str, meter: BilledMeter, *, start: datetime, end: datetime
    ) -> dict[datetime, int]:
        """See `BillingGateway.sums_by`."""
        sums: dict[datetime, int] = {}
        for customer, entry in self.meter_events.values():
            if customer == customer_id and entry.meter is meter and start <= entry.timestamp < end:
                at = entry.timestamp_hour.replace(hour=0) if step == "day" else entry.timestamp_hour
                sums[at] = sums.get(at, 0) + entry.quantity
        return sums

    def _change(self, subscription: Subscription, **changes: Plan | None) -> None:
        for found in self.subscriptions.values():
            found[:] = [replace(one, **changes) if one == subscription else one for one in found]


@dataclass
class FakeCatalog:
    """See `CatalogGateway`."""

    meters: set[str] = field(default_factory=set[str])
    products: set[Plan] = field(default_factory=set[Plan])
    prices: dict[str, StripePrice] = field(default_factory=dict[str, StripePrice])
    changes: list[str] = field(default_factory=list[str])

    def catalog(self) -> Catalog:
        """See `CatalogGateway.catalog`."""
        return Catalog(frozenset(self.meters), frozenset(self.products), dict(self.prices))

    def add_meter(self, meter: BilledMeter) -> None:
        """See `CatalogGateway.add_meter`."""
        self.meters.add(meter.event_name)
        self.changes.append(f"meter {meter.event_name}")

    def add_product(self, plan: Plan) -> None:
        """See `CatalogGateway.add_product`."""
        self.products.add(plan)
        self.changes.append(f"product {plan}")

    def add_price(self, price: Price, *, instead_of: StripePrice | None) -> None:
        """See `CatalogGateway.add_price`."""
        self.prices[price.lookup_key] = StripePrice(f"price_{len(self.changes)}", price.picocents, in_use=False)
        self.changes.append(f"{SetupAction.REPLACE if instead_of else SetupAction.ADD} {price.lookup_key}")


@dataclass
class FakeInbox:
    """A queue in memory."""

    event_ids: list[str] = field(default_factory=list[str])
    is_broken: bool = False

    def put(self, event_id: str) -> None:
        """See `Inbox.put`."""
        if self.is_broken:
            raise PaymentsUnavailable
        self.event_ids.append(event_id)
