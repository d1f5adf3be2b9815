"""What this service asks of Stripe, in its own words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from services.billing.domain.catalogue import Catalogue, FoundPrice, Price
from services.billing.domain.invoice import Invoice
from services.billing.domain.notice import PaymentRef
from services.billing.domain.price import BilledMeter
from services.billing.domain.subscription import Subscription
from services.billing.domain.usage import Entry
from shared.plans import Plan

Step = Literal["hour", "day"]


@dataclass(frozen=True, slots=True)
class Checkout:
    """A page on which a person begins to pay."""

    checkout_id: str
    url: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Order:
    """What a checkout is for, and where the person goes afterwards."""

    tenant_id: str
    plan: Plan
    success_url: str
    cancel_url: str


class Payments(Protocol):
    """Customers, subscriptions, invoices and meter events.

    A `key` makes a request that is sent twice be carried out once. Every method raises `PaymentsUnavailable` when
    Stripe does not respond, is busy or does not accept the API key, and `RefusedByStripe` when Stripe refuses this very
    request and would refuse it again.
    """

    def create_customer(self, tenant_id: str) -> str:
        """Make the tenant's customer; says its id."""
        ...

    def tenant_of(self, customer_id: str) -> str | None:
        """The tenant that a customer was made for; None when it is gone, or of somebody else."""
        ...

    def subscriptions_of(self, customer_id: str) -> Sequence[Subscription]:
        """Return the customer's subscriptions to our plans as they are now, ended ones included."""
        ...

    def invoice(self, invoice_id: str) -> Invoice | None:
        """An invoice with all its lines, as it is now."""
        ...

    def customer_of_payment(self, payment: PaymentRef) -> str | None:
        """Return the id of the customer who paid, or None when Stripe has no such payment or no customer for it."""
        ...

    def start_checkout(self, customer_id: str, order: Order, *, key: str | None) -> Checkout:
        """Open a page on which the plan is subscribed to.

        Raises:
            KeyReused: the key belongs to another order.
            CheckoutClosed: the key belongs to a page that is no longer open.
            CatalogueMissing: the plan's prices are not there.
        """
        ...

    def close_checkouts(self, customer_id: str, *, keep: str | None = None) -> None:
        """Expire the customer's open checkout pages, except the one that was opened with the key `keep`.

        A page that is paid at the same moment stays paid: ask for the subscriptions afterwards.
        """
        ...

    def open_portal(self, customer_id: str, *, return_url: str) -> str:
        """The URL of a page with cards, invoices and the subscription."""
        ...

    def change_plan(self, subscription: Subscription, plan: Plan) -> None:
        """Change to the plan at once, with proration.

        Raises:
            PaymentRefused: the card was declined.
        """
        ...

    def change_plan_at_end(self, subscription: Subscription, plan: Plan) -> None:
        """Change to the plan when the period ends; `free` ends the subscription then."""
        ...

    def keep_plan(self, subscription: Subscription) -> None:
        """Take back whatever was to happen at the period's end."""
        ...

    def end_now(self, subscription: Subscription) -> None:
        """End the subscription, with a last invoice for what was used."""
        ...

    def end_duplicate(self, subscription_id: str) -> int:
        """End a subscription at once and refund all that was paid for it; return the cents refunded by this call.

        Its usage is not billed. Idempotent: an invoice is refunded once.
        """
        ...

    def send(self, customer_id: str, entry: Entry) -> None:
        """Send a meter event; one that Stripe has already is as good as sent.

        Raises:
            RefusedByStripe: Stripe will never count this event: its time or its value is out of bounds.
            UsageNotAccepted: it was refused for another reason.
        """
        ...

    def sum_of(self, customer_id: str, meter: BilledMeter, *, start: datetime, end: datetime) -> int:
        """What Stripe has counted of the meter; it lags behind."""
        ...

    def sums_by(
        self, step: Step, customer_id: str, meter: BilledMeter, *, start: datetime, end: datetime
    ) -> Mapping[datetime, int]:
        """The same of each hour, or each day in UTC, that has any; the range consists of whole ones."""
        ...


class Shelf(Protocol):
    """Stripe's meters, products and prices."""

    def catalogue(self) -> Catalogue:
        """All of ours that are there."""
        ...

    def add_meter(self, meter: BilledMeter) -> None:
        """Make a meter."""
        ...

    def add_product(self, plan: Plan) -> None:
        """Make the product of a plan."""
        ...

    def add_price(self, price: Price, *, instead_of: FoundPrice | None) -> None:
        """Make a price, which takes the lookup key of the other one; that one is archived."""
        ...
