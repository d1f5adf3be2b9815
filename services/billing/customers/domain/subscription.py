"""Subscriptions at Stripe, and the plan and status that they grant a tenant."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from services.billing.customers.domain.period import BillingPeriod
from shared.plans import Plan

GRACE_PERIOD = timedelta(days=7)
"""The grace period after the first failed payment."""

TenantStatus = Literal["active", "suspended_by_billing"]


class SubscriptionState(StrEnum):
    """Stripe's statuses. https://docs.stripe.com/api/subscriptions/object#subscription_object-status."""

    INCOMPLETE = "incomplete"
    INCOMPLETE_EXPIRED = "incomplete_expired"
    TRIALING = "trialing"
    ACTIVE = "active"
    PAST_DUE = "past_due"
    UNPAID = "unpaid"
    PAUSED = "paused"
    CANCELED = "canceled"


_NEVER_STARTED = frozenset({SubscriptionState.INCOMPLETE, SubscriptionState.INCOMPLETE_EXPIRED})
_NOT_ONGOING = _NEVER_STARTED | {SubscriptionState.CANCELED}


@dataclass(frozen=True, slots=True)
class Subscription:
    """A subscription as read from Stripe."""

    subscription_id: str
    state: SubscriptionState
    plan: Plan
    started_at: datetime
    period: BillingPeriod
    """The current period."""
    next_plan: Plan | None = None
    """The plan after the end of the period; `free` if the subscription ends then."""
    ended_at: datetime | None = None
    past_due_since: datetime | None = None
    """When the oldest open invoice was first due."""
    plan_changed_at: datetime | None = field(default=None, compare=False)
    """Billing's own record of a change of plan within the period. The change bills the usage until then at once."""
    tenant_id: str | None = field(default=None, compare=False)
    """The tenant whose checkout created the subscription; None if it was created in another way. Not stored."""

    @property
    def has_started(self) -> bool:
        """Return whether the subscription was ever paid or in a trial."""
        return self.state not in _NEVER_STARTED

    @property
    def is_ongoing(self) -> bool:
        """Return whether the subscription is ongoing, so that it can be changed and billed."""
        return self.state not in _NOT_ONGOING


@dataclass(frozen=True, slots=True)
class Entitlement:
    """The plan, status and grace period that a subscription grants a tenant."""

    plan: Plan
    status: TenantStatus = "active"
    grace_until: datetime | None = None


def carry_plan_change(before: Subscription | None, after: Subscription, *, now: datetime) -> Subscription:
    """Return the subscription with the time of a change of plan, if it continues the period of the one known before."""
    if before is None or (before.subscription_id, before.period.start) != (after.subscription_id, after.period.start):
        return after
    changed = before.is_ongoing and before.plan is not after.plan
    return replace(after, plan_changed_at=now if changed else before.plan_changed_at)


def entitlement_of(subscription: Subscription, *, before: Entitlement, now: datetime) -> Entitlement:
    """Return the plan, status and grace period that this subscription grants.

    Args:
        subscription: the current subscription.
        before: the result for a subscription that never began.
        now: the time.
    """
    match subscription.state:
        case SubscriptionState.TRIALING | SubscriptionState.ACTIVE:
            return Entitlement(subscription.plan)
        case SubscriptionState.PAST_DUE:
            until = (subscription.past_due_since or now) + GRACE_PERIOD
            return Entitlement(subscription.plan, "active" if now < until else "suspended_by_billing", until)
        case SubscriptionState.UNPAID | SubscriptionState.PAUSED:
            return Entitlement(subscription.plan, "suspended_by_billing")
        case SubscriptionState.CANCELED:
            return Entitlement(Plan.FREE)
        case SubscriptionState.INCOMPLETE | SubscriptionState.INCOMPLETE_EXPIRED:
            return before
