"""The 8 webhooks of a subscription's life, in every order and with duplicates: one result, no wrong intermediate state.

Stripe is as far in its life as the newest webhook that was delivered: that is the least it can be.
"""

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from services.billing.customers.domain.subscription import Subscription, SubscriptionState
from services.billing.stripe_webhooks.operations import handle, receive
from shared.plans import Plan
from shared.times import from_text
from tests.services.billing.fakes import FakeInbox
from tests.services.billing.stripe_subscriptions import ENDS, STARTED, subscription
from tests.services.billing.stripe_webhooks.test_webhooks import webhook
from tests.services.billing.world import CUSTOMER_ID, BillingWorld

NOW = ENDS + timedelta(days=2)
FAILED = ENDS + timedelta(days=1)
GRACE = "2026-12-30T10:17:00.000Z"
"""Seven days after the failure on 23 December at 10:17."""

TENANT_STATE = tuple[str, str, str, str | None]
"""The plan, the billing mode, the status, and the end of the grace period."""


@dataclass(frozen=True)
class Chapter:
    """A change at Stripe, its webhook, and the expected state of the tenant."""

    kind: str
    at_stripe: Subscription
    tenant: TENANT_STATE


LIFE = (
    Chapter(
        "customer.subscription.created",
        subscription(SubscriptionState.INCOMPLETE),
        ("free", "manual", "active", None),
    ),
    Chapter("checkout.session.completed", subscription(SubscriptionState.ACTIVE), ("pro", "stripe", "active", None)),
    Chapter(
        "customer.subscription.updated",
        subscription(SubscriptionState.ACTIVE, plan=Plan.ENTERPRISE),
        ("enterprise", "stripe", "active", None),
    ),
    Chapter(
        "invoice.payment_failed",
        subscription(SubscriptionState.PAST_DUE, plan=Plan.ENTERPRISE, past_due_since=FAILED),
        ("enterprise", "stripe", "active", GRACE),
    ),
    Chapter(
        "customer.subscription.updated",
        subscription(SubscriptionState.UNPAID, plan=Plan.ENTERPRISE, past_due_since=FAILED),
        ("enterprise", "stripe", "suspended_by_billing", None),
    ),
    Chapter(
        "invoice.paid",
        subscription(SubscriptionState.ACTIVE, plan=Plan.ENTERPRISE),
        ("enterprise", "stripe", "active", None),
    ),
    Chapter(
        "customer.subscription.paused",
        subscription(SubscriptionState.PAUSED, plan=Plan.ENTERPRISE),
        ("enterprise", "stripe", "suspended_by_billing", None),
    ),
    Chapter(
        "customer.subscription.deleted",
        subscription(SubscriptionState.CANCELED, plan=Plan.ENTERPRISE, ended_at=ENDS),
        ("free", "manual", "active", None),
    ),
)


class Deliveries:
    """Delivers the webhooks in all orders, going back to the branching point after each.

    Two orders that have led to the same table are one from there on, so what follows is seen once and counted twice.
    """

    def __init__(self) -> None:
        self.world = BillingWorld()
        self.ends: set[TENANT_STATE] = set()
        self._orders_from: dict[tuple[frozenset[int], str], int] = {}

    def orders_from(self, delivered: frozenset[int] = frozenset()) -> int:
        """Deliver every remaining webhook in every order; return the number of orders."""
        if len(delivered) == len(LIFE):
            self.ends.add(self.tenant())
            return 1
        state = (delivered, self._table())
        if state not in self._orders_from:
            self._orders_from[state] = sum(self._next(delivered, number) for number in range(len(LIFE)))
        return self._orders_from[state]

    def _next(self, delivered: frozenset[int], number: int) -> int:
        if number in delivered:
            return 0
        snapshot = dict(self.world.table.items)
        newest = max(delivered | {number})
        # Stripe is still in the state of this webhook.
        self.world.stripe.subscriptions[CUSTOMER_ID] = [LIFE[newest].at_stripe]
        for one in (number, number, *delivered):
            self.deliver(one)
            assert self.tenant() == LIFE[newest].tenant, (sorted(delivered), number)
        orders = self.orders_from(delivered | {number})
        self.world.table.items = snapshot
        return orders

    def _table(self) -> str:
        """Return all stored items except the outbox."""
        return repr(sorted(item for item in self.world.table.items.items() if not item[0][0].endswith("#OUTBOX")))

    def deliver(self, number: int) -> None:
        """Receive and handle one webhook."""
        inbox = FakeInbox()
        receive(self.world.store, inbox, BODIES[number], now=NOW)
        for event_id in inbox.event_ids:
            handle(self.world.store, self.world.stripe, event_id, now=NOW)

    def tenant(self) -> TENANT_STATE:
        """Return the state of the tenant."""
        item: dict[str, Any] = self.world.table.items[("TENANT#demo-org#BILLING", "CUSTOMER")]
        return item["plan"], item["billing"], item["status"], item.get("grace_until")


BODIES = [json.dumps(webhook(f"evt_{number}", chapter.kind)) for number, chapter in enumerate(LIFE)]


def test_every_order_leads_to_the_same_correct_state() -> None:
    deliveries = Deliveries()
    assert deliveries.orders_from() == 40_320
    assert deliveries.ends == {LIFE[-1].tenant}


@pytest.mark.parametrize("chapter", LIFE, ids=lambda chapter: chapter.kind)
def test_any_single_webhook_leads_to_the_final_state(chapter: Chapter) -> None:
    deliveries = Deliveries()
    deliveries.world.stripe.subscriptions[CUSTOMER_ID] = [LIFE[-1].at_stripe]
    deliveries.deliver(LIFE.index(chapter))
    assert deliveries.tenant() == LIFE[-1].tenant


def test_the_grace_period_is_seven_days() -> None:
    assert from_text(GRACE) - FAILED == timedelta(days=7)
    assert FAILED > STARTED
