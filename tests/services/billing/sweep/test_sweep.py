"""The sweep over ends of grace periods, duplicate subscriptions, and postponed webhooks and tenant ends."""

import json
from datetime import timedelta

import pytest

from services.billing.closing.operations import close_or_postpone
from services.billing.customers.domain.subscription import SubscriptionState
from services.billing.customers.operations import get_customer
from services.billing.errors import ApiKeyRejected, PaymentsUnavailable, RejectedByStripe
from services.billing.stripe_webhooks.operations import handle_or_postpone, receive
from services.billing.stripe_webhooks.table import ReceivedWebhooks
from services.billing.sweep.operations import sweep_others
from shared.deadline import invocation
from shared.plans import Plan
from shared.storage.inbox import Delivery
from shared.storage.quarantine import MAX_FAILURES, list_quarantined
from tests.services.billing.fakes import FakeInbox
from tests.services.billing.stripe_subscriptions import STARTED, subscription
from tests.services.billing.stripe_webhooks.test_webhooks import webhook
from tests.services.billing.usage_sync.test_outages import CLOSED, FIRST, OTHERS, Context, fail_with
from tests.services.billing.world import CUSTOMER_ID, TENANT, BillingWorld

GRACE_OVER = STARTED + timedelta(days=8)
MINUTE = timedelta(minutes=1)


def statuses(world: BillingWorld) -> dict[str, str]:
    return {tenant: get_customer(world.store, tenant).status for tenant in (TENANT, *OTHERS)}


class TestEndOfGrace:
    @pytest.fixture
    def world(self) -> BillingWorld:
        """Return six tenants whose payment has failed."""
        world = BillingWorld()
        world.add_tenants(*OTHERS)
        for customer_id in (CUSTOMER_ID, *(f"cus_{tenant}" for tenant in OTHERS)):
            failing = subscription(
                SubscriptionState.PAST_DUE, subscription_id=f"sub_{customer_id}", past_due_since=STARTED
            )
            world.stripe.subscriptions[customer_id] = [failing]
        for tenant in (TENANT, *OTHERS):
            event_id = f"evt_{tenant}"
            subject = {"object": "subscription", "id": "sub", "customer": f"cus_{tenant}"}
            receive(world.store, FakeInbox(), json.dumps(webhook(event_id, subject=subject)), now=STARTED)
            assert handle_or_postpone(world.store, world.stripe, event_id, now=STARTED)
        return world

    def test_suspends_every_tenant_that_has_not_paid(self, world: BillingWorld) -> None:
        assert set(statuses(world).values()) == {"active"}
        sweep_others(world.store, world.stripe, now=GRACE_OVER)
        assert set(statuses(world).values()) == {"suspended_by_billing"}

    def test_continues_after_a_tenant_that_stripe_rejects(self, world: BillingWorld) -> None:
        world.stripe.failing[CUSTOMER_ID] = RejectedByStripe("resource_missing: No such customer")
        for minute in range(60):
            sweep_others(world.store, world.stripe, now=GRACE_OVER + minute * MINUTE)
        assert statuses(world) == {TENANT: "active", **dict.fromkeys(OTHERS, "suspended_by_billing")}
        [failure] = list_quarantined(world.store)
        assert (failure.tenant_id, failure.entry.kind, failure.failures) == (TENANT, "GRACE", MAX_FAILURES)

    def test_leaves_a_customer_without_a_subscription_to_an_operator(self, world: BillingWorld) -> None:
        world.stripe.subscriptions[CUSTOMER_ID] = []
        for minute in range(60):
            sweep_others(world.store, world.stripe, now=GRACE_OVER + minute * MINUTE)
        assert [failure.tenant_id for failure in list_quarantined(world.store)] == [TENANT]

    def test_during_an_outage_suspends_no_tenant_after_three_requests(self, world: BillingWorld) -> None:
        requested: list[str] = []

        class Failing(dict[str, Exception]):
            def __missing__(self, customer_id: str) -> PaymentsUnavailable:
                requested.append(customer_id)
                return PaymentsUnavailable()

        world.stripe.failing = Failing()
        sweep_others(world.store, world.stripe, now=GRACE_OVER)
        assert (len(requested), set(statuses(world).values())) == (3, {"active"})

    def test_reserves_half_of_the_time_for_usage(self, world: BillingWorld) -> None:
        with invocation(Context(left_s=29)):
            sweep_others(world.store, world.stripe, now=GRACE_OVER)
        assert set(statuses(world).values()) == {"active"}


class TestPostponedWebhook:
    def test_is_handled_after_an_outage_of_any_length(self) -> None:
        world = BillingWorld()
        world.stripe.subscriptions[CUSTOMER_ID] = [subscription()]
        world.stripe.failing[CUSTOMER_ID] = ApiKeyRejected()
        receive(world.store, FakeInbox(), json.dumps(webhook()), now=STARTED)
        assert not handle_or_postpone(world.store, world.stripe, "evt_1", now=STARTED)
        for minutes in range(5, 300, 5):
            sweep_others(world.store, world.stripe, now=STARTED + minutes * MINUTE)
        assert world.customer.plan is Plan.FREE
        world.stripe.failing.clear()
        sweep_others(world.store, world.stripe, now=STARTED + timedelta(hours=6))
        assert world.customer.plan is Plan.PRO
        stored = ReceivedWebhooks(world.store).find("evt_1")
        assert stored
        assert stored.state == "done"

    def test_lost_by_the_queue_is_handled_after_ten_minutes(self) -> None:
        world = BillingWorld()
        world.stripe.subscriptions[CUSTOMER_ID] = [subscription()]
        receive(world.store, FakeInbox(), json.dumps(webhook()), now=STARTED)
        sweep_others(world.store, world.stripe, now=STARTED + 9 * MINUTE)
        assert world.customer.plan is Plan.FREE
        sweep_others(world.store, world.stripe, now=STARTED + 10 * MINUTE)
        assert world.customer.plan is Plan.PRO

    def test_is_not_handled_twice(self) -> None:
        world = BillingWorld()
        receive(world.store, FakeInbox(), json.dumps(webhook()), now=STARTED)
        assert handle_or_postpone(world.store, world.stripe, "evt_1", now=STARTED)
        world.stripe.failing[CUSTOMER_ID] = AssertionError("nothing is due")
        assert sweep_others(world.store, world.stripe, now=STARTED + timedelta(hours=1))["NOTICE"].failed == 0


class TestPostponedEnd:
    DELIVERY = Delivery("billing.consumer", "demo-org:usage_closed", CLOSED)

    def test_happens_after_stripe_has_the_last_usage(self) -> None:
        world = BillingWorld()
        world.subscribe()
        fail_with(world, ApiKeyRejected())
        world.close_hour(FIRST, now=CLOSED, tokens_in=7)
        close_or_postpone(world.store, world.stripe, TENANT, delivery=self.DELIVERY, now=CLOSED)
        for minute in range(1, 200):
            sweep_others(world.store, world.stripe, now=CLOSED + minute * MINUTE)
        assert "demo-org:usage_synced" not in world.table.events()
        fail_with(world, None)
        for hours in (4, 5):
            sweep_others(world.store, world.stripe, now=CLOSED + timedelta(hours=hours))
        assert world.stripe.subscription_changes == [("end_now", "sub_1", None)]
        assert world.table.events().count("demo-org:usage_synced") == 1
        assert len(world.counted()) == 1

    def test_does_not_wait_for_permanently_rejected_usage(self) -> None:
        world = BillingWorld()
        world.subscribe()
        fail_with(world, RejectedByStripe("timestamp_too_far_in_past"))
        world.close_hour(FIRST, now=CLOSED, tokens_in=7)
        close_or_postpone(world.store, world.stripe, TENANT, delivery=self.DELIVERY, now=CLOSED)
        assert "demo-org:usage_synced" in world.table.events()
