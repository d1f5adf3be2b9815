"""Stripe in memory: what it holds is set by hand, and it fails when it is told to."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from services.billing.domain.catalogue import Catalogue, Difference, FoundPrice, Price
from services.billing.domain.invoice import Invoice
from services.billing.domain.notice import PaymentRef
from services.billing.domain.price import BilledMeter
from services.billing.domain.subscription import Subscription, SubscriptionState
from services.billing.domain.usage import Entry
from services.billing.gateways.payments import Checkout, Order, Step
from shared.plans import Plan

CHECKOUT_ENDS = datetime(2026, 11, 23, tzinfo=UTC)


def _fine(_: Entry) -> None:
    """Nothing goes wrong."""


def _nothing(_: str) -> None:
    """Nothing goes wrong."""


def _ended(subscription: Subscription) -> Subscription:
    return replace(subscription, state=SubscriptionState.CANCELED, ended_at=subscription.started_at)


@dataclass
class FakePayments:
    """See `Payments`."""

    tenants: dict[str, str] = field(default_factory=dict[str, str])
    """By customer."""
    subscriptions: dict[str, list[Subscription]] = field(default_factory=dict[str, list[Subscription]])
    """By customer."""
    invoices: dict[str, Invoice] = field(default_factory=dict[str, Invoice])
    counted: dict[str, tuple[str, Entry]] = field(default_factory=dict[str, tuple[str, Entry]])
    """Customer and entry of the meter events that were taken, by identifier."""
    orders: list[tuple[Order, str | None]] = field(default_factory=list[tuple[Order, str | None]])
    asked: list[tuple[str, str, Plan | None]] = field(default_factory=list[tuple[str, str, Plan | None]])
    """What was done to subscriptions."""
    payers: dict[str, str] = field(default_factory=dict[str, str])
    """Customers by the id of their payment intent or charge."""
    open_checkouts: dict[str, tuple[str, str | None]] = field(default_factory=dict[str, tuple[str, str | None]])
    """Customer and key of the open pages, by checkout."""
    paid_cents: dict[str, int] = field(default_factory=dict[str, int])
    """Cents paid and not refunded, by subscription."""
    refunds: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])
    failing: dict[str, Exception] = field(default_factory=dict[str, Exception])
    """Errors that reading a customer's subscriptions raises, by customer."""
    before_close_checkouts: Callable[[str], None] = _nothing
    before_end_duplicate: Callable[[str], None] = _nothing
    before_send: Callable[[Entry], None] = _fine
    after_send: Callable[[Entry], None] = _fine
    """May raise, as if the answer was lost."""

    def create_customer(self, tenant_id: str) -> str:
        """See `Payments.create_customer`."""
        customer_id = f"cus_{tenant_id}"
        self.tenants[customer_id] = tenant_id
        return customer_id

    def tenant_of(self, customer_id: str) -> str | None:
        """See `Payments.tenant_of`."""
        return self.tenants.get(customer_id)

    def subscriptions_of(self, customer_id: str) -> list[Subscription]:
        """See `Payments.subscriptions_of`."""
        with suppress(KeyError):
            raise self.failing[customer_id]
        return list(self.subscriptions.get(customer_id, ()))

    def invoice(self, invoice_id: str) -> Invoice | None:
        """See `Payments.invoice`."""
        return self.invoices.get(invoice_id)

    def customer_of_payment(self, payment: PaymentRef) -> str | None:
        """See `Payments.customer_of_payment`."""
        return self.payers.get(payment.payment_intent_id or "") or self.payers.get(payment.charge_id or "")

    def start_checkout(self, customer_id: str, order: Order, *, key: str | None) -> Checkout:
        """See `Payments.start_checkout`."""
        self.orders.append((order, key))
        checkout_id = f"cs_{len(self.orders)}"
        self.open_checkouts[checkout_id] = (customer_id, key)
        return Checkout(checkout_id, f"https://checkout.test/{customer_id}", CHECKOUT_ENDS)

    def close_checkouts(self, customer_id: str, *, keep: str | None = None) -> None:
        """See `Payments.close_checkouts`."""
        self.before_close_checkouts(customer_id)
        for checkout_id, (customer, key) in list(self.open_checkouts.items()):
            if customer == customer_id and (keep is None or key != keep):
                del self.open_checkouts[checkout_id]

    def open_portal(self, customer_id: str, *, return_url: str) -> str:
        """See `Payments.open_portal`."""
        return f"https://portal.test/{customer_id}?return={return_url}"

    def change_plan(self, subscription: Subscription, plan: Plan) -> None:
        """See `Payments.change_plan`."""
        self.asked.append(("change_plan", subscription.subscription_id, plan))
        self._change(subscription, plan=plan, next_plan=None)

    def change_plan_at_end(self, subscription: Subscription, plan: Plan) -> None:
        """See `Payments.change_plan_at_end`."""
        self.asked.append(("change_plan_at_end", subscription.subscription_id, plan))
        self._change(subscription, next_plan=plan)

    def keep_plan(self, subscription: Subscription) -> None:
        """See `Payments.keep_plan`."""
        self.asked.append(("keep_plan", subscription.subscription_id, None))
        self._change(subscription, next_plan=None)

    def end_now(self, subscription: Subscription) -> None:
        """See `Payments.end_now`."""
        self.asked.append(("end_now", subscription.subscription_id, None))

    def end_duplicate(self, subscription_id: str) -> int:
        """See `Payments.end_duplicate`."""
        self.before_end_duplicate(subscription_id)
        for found in self.subscriptions.values():
            found[:] = [_ended(one) if one.subscription_id == subscription_id else one for one in found]
        refunded_cents = self.paid_cents.pop(subscription_id, 0)
        self.refunds.append((subscription_id, refunded_cents))
        return refunded_cents

    def send(self, customer_id: str, entry: Entry) -> None:
        """See `Payments.send`."""
        self.before_send(entry)
        self.counted.setdefault(entry.identifier, (customer_id, entry))
        self.after_send(entry)

    def sum_of(self, customer_id: str, meter: BilledMeter, *, start: datetime, end: datetime) -> int:
        """See `Payments.sum_of`."""
        return sum(
            entry.quantity
            for customer, entry in self.counted.values()
            if customer == customer_id and entry.meter is meter and start <= entry.stamped_at < end
        )

    def sums_by(
        self, step: Step, customer_id: str, meter: BilledMeter, *, start: datetime, end: datetime
    ) -> dict[datetime, int]:
        """See `Payments.sums_by`."""
        sums: dict[datetime, int] = {}
        for customer, entry in self.counted.values():
            if customer == customer_id and entry.meter is meter and start <= entry.stamped_at < end:
                at = entry.stamp_hour.replace(hour=0) if step == "day" else entry.stamp_hour
                sums[at] = sums.get(at, 0) + entry.quantity
        return sums

    def _change(self, subscription: Subscription, **changes: Plan | None) -> None:
        for found in self.subscriptions.values():
            found[:] = [replace(one, **changes) if one == subscription else one for one in found]


@dataclass
class FakeShelf:
    """See `Shelf`."""

    meters: set[str] = field(default_factory=set[str])
    products: set[Plan] = field(default_factory=set[Plan])
    prices: dict[str, FoundPrice] = field(default_factory=dict[str, FoundPrice])
    done: list[str] = field(default_factory=list[str])

    def catalogue(self) -> Catalogue:
        """See `Shelf.catalogue`."""
        return Catalogue(frozenset(self.meters), frozenset(self.products), dict(self.prices))

    def add_meter(self, meter: BilledMeter) -> None:
        """See `Shelf.add_meter`."""
        self.meters.add(meter.event_name)
        self.done.append(f"meter {meter.event_name}")

    def add_product(self, plan: Plan) -> None:
        """See `Shelf.add_product`."""
        self.products.add(plan)
        self.done.append(f"product {plan}")

    def add_price(self, price: Price, *, instead_of: FoundPrice | None) -> None:
        """See `Shelf.add_price`."""
        self.prices[price.lookup_key] = FoundPrice(f"price_{len(self.done)}", price.picocents, in_use=False)
        self.done.append(f"{Difference.REPLACE if instead_of else Difference.ADD} {price.lookup_key}")
