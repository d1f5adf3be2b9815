"""Changes of customers by events and by their subscriptions."""

from dataclasses import replace
from datetime import timedelta

from services.billing.customers.domain.customer import (
    BillingMode,
    Customer,
    apply_event,
    apply_subscription,
    link_to_stripe,
    new_customer,
)
from services.billing.customers.domain.period import BillingPeriod
from services.billing.customers.domain.subscription import SubscriptionState
from shared.plans import Plan
from tests.services.billing.stripe_subscriptions import ENDS, STARTED, subscription
from tests.services.billing.tenants import AT, created

FREE = new_customer(created(plan=Plan.FREE))


class TestNewCustomer:
    def test_a_new_tenant_is_billed_manually(self) -> None:
        expected = Customer("demo-org", Plan.ENTERPRISE, BillingMode.MANUAL, created_at=AT, rev=1, last_event_seq=3)
        assert new_customer(created(plan=Plan.ENTERPRISE, seq=3)) == expected


class TestApplyEvent:
    def test_applies_the_plan_set_by_an_operator(self) -> None:
        received = apply_event(FREE, created(plan=Plan.PRO, seq=2))
        assert (received.plan, received.rev, received.last_event_seq) == (Plan.PRO, 2, 2)

    def test_ignores_older_events(self) -> None:
        received = apply_event(FREE, created(plan=Plan.PRO, seq=2))
        assert apply_event(received, created(plan=Plan.ENTERPRISE, seq=2)) == received

    def test_keeps_the_plan_of_the_subscription_if_stripe_collects(self) -> None:
        paying, _ = apply_subscription(FREE, subscription(), now=STARTED)
        assert apply_event(paying, created(plan=Plan.FREE, seq=2)).plan is Plan.PRO


class TestApplySubscription:
    def test_publishes_each_change_once(self) -> None:
        paying, [event] = apply_subscription(FREE, subscription(), now=STARTED)
        assert (paying.plan, paying.billing, paying.rev) == (Plan.PRO, BillingMode.STRIPE, 2)
        assert (event.id, event.seq, event.subject) == ("demo-org:subscription:2", 2, "demo-org")
        assert event.data.model_dump() == {
            "plan": "pro",
            "billing": "stripe",
            "status": "active",
            "subscription_status": "active",
            "grace_until": None,
        }
        assert apply_subscription(paying, subscription(), now=STARTED) == (paying, [])

    def test_an_abandoned_checkout_leaves_a_manual_plan_unchanged(self) -> None:
        manual = new_customer(created(plan=Plan.ENTERPRISE))
        after, _ = apply_subscription(manual, subscription(SubscriptionState.INCOMPLETE), now=STARTED)
        assert (after.plan, after.billing, after.status) == (Plan.ENTERPRISE, BillingMode.MANUAL, "active")

    def test_an_ended_subscription_means_free_until_an_operator_sets_a_plan(self) -> None:
        paying, _ = apply_subscription(FREE, subscription(), now=STARTED)
        over = subscription(SubscriptionState.CANCELED, ended_at=ENDS)
        ended, _ = apply_subscription(paying, over, now=ENDS)
        assert (ended.plan, ended.billing) == (Plan.FREE, BillingMode.MANUAL)
        given = apply_event(ended, created(plan=Plan.PRO, seq=9))
        assert apply_subscription(given, over, now=ENDS + timedelta(days=1)) == (given, [])

    def test_the_grace_period_ends_without_a_change_at_stripe(self) -> None:
        failing = subscription(SubscriptionState.PAST_DUE, past_due_since=ENDS)
        in_grace, _ = apply_subscription(FREE, failing, now=ENDS)
        assert (in_grace.status, in_grace.grace_until) == ("active", ENDS + timedelta(days=7))
        before, _ = apply_subscription(in_grace, failing, now=ENDS + timedelta(days=7, seconds=-1))
        assert before == in_grace
        over, [event] = apply_subscription(in_grace, failing, now=ENDS + timedelta(days=7))
        assert (over.status, event.data.status) == ("suspended_by_billing", "suspended_by_billing")
        assert apply_subscription(over, failing, now=ENDS + timedelta(days=8)) == (over, [])

    def test_a_new_period_is_stored_without_an_event(self) -> None:
        paying, _ = apply_subscription(FREE, subscription(), now=STARTED)
        after, events = apply_subscription(paying, replace(subscription(), next_plan=Plan.FREE), now=STARTED)
        assert (after.rev, events) == (3, [])


class TestChangeOfPlan:
    def test_is_recorded_until_the_next_period(self) -> None:
        paying, _ = apply_subscription(FREE, subscription(), now=STARTED)
        at = STARTED + timedelta(days=3)
        dearer, _ = apply_subscription(paying, subscription(plan=Plan.ENTERPRISE), now=at)
        assert dearer.subscription
        assert dearer.subscription.plan_changed_at == at
        assert apply_subscription(dearer, subscription(plan=Plan.ENTERPRISE), now=at + timedelta(days=1)) == (
            dearer,
            [],
        )
        later, _ = apply_subscription(dearer, subscription(plan=Plan.ENTERPRISE, next_plan=Plan.PRO), now=at)
        assert later.subscription
        assert later.subscription.plan_changed_at == at
        renewed = subscription(plan=Plan.PRO, period=BillingPeriod(ENDS, ENDS + timedelta(days=31)))
        after, _ = apply_subscription(later, renewed, now=ENDS)
        assert after.subscription
        assert after.subscription.plan_changed_at is None


class TestLinkToStripe:
    def test_increments_the_revision(self) -> None:
        assert (link_to_stripe(FREE, "cus_1").stripe_customer_id, link_to_stripe(FREE, "cus_1").rev) == ("cus_1", 2)
