"""Selection of a tenant's current subscription, and the proration of a change of plan."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from services.billing.catalog.domain import divide_rounded
from services.billing.customers.domain.period import BillingPeriod
from services.billing.customers.domain.subscription import Subscription
from shared.plans import PRICES, Plan


def select_current(subscriptions: Iterable[Subscription], *, known_id: str | None = None) -> Subscription | None:
    """Return the current subscription: an ongoing one, else one that has ended, else one that never began.

    Of several ongoing ones, the known one is current, else the one that started first; the others are duplicates. Of
    several others, the newest is current.

    Args:
        subscriptions: the subscriptions of one customer.
        known_id: the id of the subscription that was current before.
    """
    candidates = list(subscriptions)
    ongoing = [candidate for candidate in candidates if candidate.is_ongoing]
    if ongoing:
        return min(
            ongoing,
            key=lambda candidate: (
                candidate.subscription_id != known_id,
                candidate.started_at,
                candidate.subscription_id,
            ),
        )
    return max(
        candidates,
        key=lambda candidate: (candidate.has_started, candidate.started_at, candidate.subscription_id),
        default=None,
    )


def duplicates_of(current: Subscription | None, subscriptions: Iterable[Subscription]) -> list[Subscription]:
    """Return the other ongoing subscriptions, for which the tenant pays twice for the same usage."""
    return [
        other
        for other in subscriptions
        if current and other.is_ongoing and other.subscription_id != current.subscription_id
    ]


@dataclass(frozen=True, slots=True)
class Proration:
    """The credit and the charge of a change of plan within a period."""

    credit_cents: int
    """The credit for the rest of the period on the old plan."""
    charge_cents: int
    """The charge for the rest of the period on the new plan."""


def proration(before: Plan, after: Plan, *, period: BillingPeriod, at: datetime) -> Proration:
    """Return the base prices of both plans for the rest of the period, to the second."""
    left = BillingPeriod(max(at, period.start), period.end).seconds if at < period.end else 0

    def share(plan: Plan) -> int:
        return divide_rounded(PRICES[plan].base_cents_per_month * left, period.seconds)

    return Proration(credit_cents=share(before), charge_cents=share(after))


@dataclass(frozen=True, slots=True)
class Checkout:
    """An open checkout page."""

    checkout_id: str
    url: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class CheckoutOrder:
    """The plan of a checkout page, and the URLs to which it leads back."""

    tenant_id: str
    plan: Plan
    success_url: str
    cancel_url: str
