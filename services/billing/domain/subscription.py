"""Subscriptions as Stripe says them, and what they mean for a tenant."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from services.billing.domain.cost import Period
from shared.plans import Plan

GRACE = timedelta(days=7)
"""For how long a tenant goes on after a payment has failed for the first time."""

TenantStatus = Literal["active", "suspended_by_billing"]


class SubscriptionState(StrEnum):
    """Stripe's states. https://docs.stripe.com/api/subscriptions/object#subscription_object-status."""

    INCOMPLETE = "incomplete"
    INCOMPLETE_EXPIRED = "incomplete_expired"
    TRIALING = "trialing"
    ACTIVE = "active"
    PAST_DUE = "past_due"
    UNPAID = "unpaid"
    PAUSED = "paused"
    CANCELED = "canceled"


_NEVER_BEGAN = frozenset({SubscriptionState.INCOMPLETE, SubscriptionState.INCOMPLETE_EXPIRED})
_NOT_GOING_ON = _NEVER_BEGAN | {SubscriptionState.CANCELED}


@dataclass(frozen=True, slots=True)
class Subscription:
    """A subscription as Stripe has it now."""

    subscription_id: str
    state: SubscriptionState
    plan: Plan
    started_at: datetime
    period: Period
    """The current one."""
    next_plan: Plan | None = None
    """What it changes to when the period ends; `free`: it ends then."""
    ended_at: datetime | None = None
    failing_since: datetime | None = None
    """When the oldest invoice that is still open was to be paid for the first time."""
    counts_since: datetime | None = field(default=None, compare=False)
    """Our own note: when the plan was changed within the period, which bills at once what was used until then."""
    tenant_id: str | None = field(default=None, compare=False)
    """The tenant whose checkout made it; None: it was made in another way. Not stored."""

    @property
    def has_begun(self) -> bool:
        """Whether it was ever paid for or tried."""
        return self.state not in _NEVER_BEGAN

    @property
    def goes_on(self) -> bool:
        """Whether it can still be changed and billed by."""
        return self.state not in _NOT_GOING_ON


@dataclass(frozen=True, slots=True)
class Standing:
    """What a tenant's subscription lets it do."""

    plan: Plan
    status: TenantStatus = "active"
    grace_until: datetime | None = None


def current_of(subscriptions: Iterable[Subscription], *, known_id: str | None = None) -> Subscription | None:
    """Return the one that counts: one that goes on, else one that has ended, else one that never began.

    Of several that go on it is the known one, else the one that was paid first: a later one is a duplicate. Of several
    others it is the newest.

    Args:
        subscriptions: of one customer.
        known_id: of the one that counted until now.
    """
    found = list(subscriptions)
    going_on = [one for one in found if one.goes_on]
    if going_on:
        return min(going_on, key=lambda one: (one.subscription_id != known_id, one.started_at, one.subscription_id))
    return max(found, key=lambda one: (one.has_begun, one.started_at, one.subscription_id), default=None)


def duplicates_of(current: Subscription | None, subscriptions: Iterable[Subscription]) -> list[Subscription]:
    """Return the others that go on: the tenant pays twice, for the same usage too."""
    return [one for one in subscriptions if current and one.goes_on and one.subscription_id != current.subscription_id]


def following(before: Subscription | None, after: Subscription, *, now: datetime) -> Subscription:
    """The subscription with our own note of a change of plan, when it follows the one that was known before."""
    if before is None or (before.subscription_id, before.period.start) != (after.subscription_id, after.period.start):
        return after
    changed = before.goes_on and before.plan is not after.plan
    return replace(after, counts_since=now if changed else before.counts_since)


def standing_of(subscription: Subscription, *, before: Standing, now: datetime) -> Standing:
    """What the tenant may do under this subscription.

    Args:
        subscription: as it is now.
        before: what it may do until now; a subscription that never began changes nothing.
        now: the time.
    """
    match subscription.state:
        case SubscriptionState.TRIALING | SubscriptionState.ACTIVE:
            return Standing(subscription.plan)
        case SubscriptionState.PAST_DUE:
            until = (subscription.failing_since or now) + GRACE
            return Standing(subscription.plan, "active" if now < until else "suspended_by_billing", until)
        case SubscriptionState.UNPAID | SubscriptionState.PAUSED:
            return Standing(subscription.plan, "suspended_by_billing")
        case SubscriptionState.CANCELED:
            return Standing(Plan.FREE)
        case SubscriptionState.INCOMPLETE | SubscriptionState.INCOMPLETE_EXPIRED:
            return before
