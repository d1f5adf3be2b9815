"""Subscriptions as read from Stripe."""

from datetime import UTC, datetime
from typing import Any

from services.billing.customers.domain.period import BillingPeriod
from services.billing.customers.domain.subscription import Subscription, SubscriptionState
from shared.plans import Plan

STARTED = datetime(2026, 11, 22, 10, 17, tzinfo=UTC)
ENDS = datetime(2026, 12, 22, 10, 17, tzinfo=UTC)


def subscription(state: SubscriptionState = SubscriptionState.ACTIVE, **other: Any) -> Subscription:  # noqa: ANN401 — any field
    """Return a subscription to pro that started on 22 November at 10:17."""
    fields: dict[str, Any] = {
        "subscription_id": "sub_1",
        "plan": Plan.PRO,
        "started_at": STARTED,
        "period": BillingPeriod(STARTED, ENDS),
    }
    return Subscription(state=state, **(fields | other))
