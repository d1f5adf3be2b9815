"""The minute's other work: ends of grace, second subscriptions, webhooks and ends that an outage has left undone."""

import json
from datetime import timedelta

import pytest

from services.billing.domain.subscription import SubscriptionState
from services.billing.errors import KeyNotAccepted, PaymentsUnavailable, RefusedByStripe
from services.billing.gateways.inbox import FakeInbox
from services.billing.operations.closing import close_or_postpone
from services.billing.operations.customers import get_customer
from services.billing.operations.sweeping import sweep_others
from services.billing.operations.webhooks import handle_or_postpone, receive
from services.billing.table.notices import find_notice
from shared.deadline import invocation
from shared.plans import Plan
from shared.storage.due import MAX_FAILURES, list_quarantined
from shared.storage.inbox import Delivery
from tests.services.billing.subscriptions import STARTED, subscription
from tests.services.billing.test_outages import CLOSED, FIRST, OTHERS, Context, fail_with
from tests.services.billing.test_webhooks import webhook
from tests.services.billing.worlds import CUSTOMER_ID, TENANT, World

GRACE_OVER = STARTED + timedelta(days=8)
MINUTE = timedelta(minutes=1)


def statuses(world: World) -> dict[str, str]:
    return {tenant: get_customer(world.store, tenant).status for tenant in (TENANT, *OTHERS)}


class TestEndOfGrace:
    @pytest.fixture
    def world(self) -> World:
        """Six tenants whose payment has failed."""
        made = World()
        made.add(*OTHERS)
        for customer_id in (CUSTOMER_ID, *(f"cus_{tenant}" for tenant in OTHERS)):
            failing = subscription(
                SubscriptionState.PAST_DUE, subscription_id=f"sub_{customer_id}", failing_since=STARTED
            )
            made.stripe.subscriptions[customer_id] = [failing]
        for tenant in (TENANT, *OTHERS):
            event_id = f"evt_{tenant}"
            subject = {"object": "subscription", "id": "sub", "customer": f"cus_{tenant}"}
            receive(made.store, FakeInbox(), json.dumps(webhook(event_id, subject=subject)), now=STARTED)
            assert handle_or_postpone(made.store, made.stripe, event_id, now=STARTED)
        return made

    def test_suspends_every_tenant_that_has_not_paid(self, world: World) -> None:
        assert set(statuses(world).values()) == {"active"}
        sweep_others(world.store, world.stripe, now=GRACE_OVER)
        assert set(statuses(world).values()) == {"suspended_by_billing"}

    def test_of_one_tenant_that_stripe_refuses_does_not_stop_the_others(self, world: World) -> None:
        world.stripe.failing[CUSTOMER_ID] = RefusedByStripe("resource_missing: No such customer")
        for minute in range(60):
            sweep_others(world.store, world.stripe, now=GRACE_OVER + minute * MINUTE)
        assert statuses(world) == {TENANT: "active", **dict.fromkeys(OTHERS, "suspended_by_billing")}
        [failure] = list_quarantined(world.store)
        assert (failure.tenant_id, failure.entry.kind, failure.failures) == (TENANT, "GRACE", MAX_FAILURES)

    def test_of_a_customer_without_any_subscription_is_left_to_an_operator(self, world: World) -> None:
        world.stripe.subscriptions[CUSTOMER_ID] = []
        for minute in range(60):
            sweep_others(world.store, world.stripe, now=GRACE_OVER + minute * MINUTE)
        assert [failure.tenant_id for failure in list_quarantined(world.store)] == [TENANT]

    def test_during_an_outage_suspends_nobody_and_asks_three_times(self, world: World) -> None:
        asked: list[str] = []

        class Failing(dict[str, Exception]):
            def __missing__(self, customer_id: str) -> PaymentsUnavailable:
                asked.append(customer_id)
                return PaymentsUnavailable()

        world.stripe.failing = Failing()
        sweep_others(world.store, world.stripe, now=GRACE_OVER)
        assert (len(asked), set(statuses(world).values())) == (3, {"active"})

    def test_leaves_half_of_the_time_to_usage(self, world: World) -> None:
        with invocation(Context(left_s=29)):
            sweep_others(world.store, world.stripe, now=GRACE_OVER)
        assert set(statuses(world).values()) == {"active"}


class TestPostponedWebhook:
    def test_is_handled_when_stripe_works_again_however_long_that_takes(self) -> None:
        world = World()
        world.stripe.subscriptions[CUSTOMER_ID] = [subscription()]
        world.stripe.failing[CUSTOMER_ID] = KeyNotAccepted()
        receive(world.store, FakeInbox(), json.dumps(webhook()), now=STARTED)
        assert not handle_or_postpone(world.store, world.stripe, "evt_1", now=STARTED)
        for minutes in range(5, 300, 5):
            sweep_others(world.store, world.stripe, now=STARTED + minutes * MINUTE)
        assert world.customer.plan is Plan.FREE
        world.stripe.failing.clear()
        sweep_others(world.store, world.stripe, now=STARTED + timedelta(hours=6))
        assert world.customer.plan is Plan.PRO
        notice = find_notice(world.store, "evt_1")
        assert notice
        assert notice.state == "done"

    def test_that_the_queue_has_lost_is_handled_after_ten_minutes(self) -> None:
        world = World()
        world.stripe.subscriptions[CUSTOMER_ID] = [subscription()]
        receive(world.store, FakeInbox(), json.dumps(webhook()), now=STARTED)
        sweep_others(world.store, world.stripe, now=STARTED + 9 * MINUTE)
        assert world.customer.plan is Plan.FREE
        sweep_others(world.store, world.stripe, now=STARTED + 10 * MINUTE)
        assert world.customer.plan is Plan.PRO

    def test_that_was_handled_is_not_looked_at_again(self) -> None:
        world = World()
        receive(world.store, FakeInbox(), json.dumps(webhook()), now=STARTED)
        assert handle_or_postpone(world.store, world.stripe, "evt_1", now=STARTED)
        world.stripe.failing[CUSTOMER_ID] = AssertionError("nothing is due")
        assert sweep_others(world.store, world.stripe, now=STARTED + timedelta(hours=1))["NOTICE"].failed == 0


class TestPostponedEnd:
    DELIVERY = Delivery("billing.consumer", "demo-org:usage_closed", CLOSED)

    def test_comes_when_stripe_has_the_last_usage(self) -> None:
        world = World()
        world.subscribe()
        fail_with(world, KeyNotAccepted())
        world.use(FIRST, now=CLOSED, tokens_in=7)
        close_or_postpone(world.store, world.stripe, TENANT, delivery=self.DELIVERY, now=CLOSED)
        for minute in range(1, 200):
            sweep_others(world.store, world.stripe, now=CLOSED + minute * MINUTE)
        assert "demo-org:usage_synced" not in world.table.events()
        fail_with(world, None)
        for hours in (4, 5):
            sweep_others(world.store, world.stripe, now=CLOSED + timedelta(hours=hours))
        assert world.stripe.asked == [("end_now", "sub_1", None)]
        assert world.table.events().count("demo-org:usage_synced") == 1
        assert len(world.counted()) == 1

    def test_does_not_wait_for_what_stripe_has_refused_for_good(self) -> None:
        world = World()
        world.subscribe()
        fail_with(world, RefusedByStripe("timestamp_too_far_in_past"))
        world.use(FIRST, now=CLOSED, tokens_in=7)
        close_or_postpone(world.store, world.stripe, TENANT, delivery=self.DELIVERY, now=CLOSED)
        assert "demo-org:usage_synced" in world.table.events()
