"""Subscriptions as Stripe might have them."""

from datetime import UTC, datetime
from typing import Any

from services.billing.domain.cost import Period
from services.billing.domain.subscription import Subscription, SubscriptionState
from shared.plans import Plan

STARTED = datetime(2026, 11, 22, 10, 17, tzinfo=UTC)
ENDS = datetime(2026, 12, 22, 10, 17, tzinfo=UTC)


def subscription(state: SubscriptionState = SubscriptionState.ACTIVE, **other: Any) -> Subscription:  # noqa: ANN401 — any field
    """A subscription to pro that began on 22 November at 10:17."""
    fields: dict[str, Any] = {
        "subscription_id": "sub_1",
        "plan": Plan.PRO,
        "started_at": STARTED,
        "period": Period(STARTED, ENDS),
    }
    return Subscription(state=state, **(fields | other))
