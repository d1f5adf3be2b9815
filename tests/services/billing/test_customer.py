"""Customers under their subscriptions."""

from dataclasses import replace
from datetime import timedelta

from services.billing.domain.cost import Period
from services.billing.domain.customer import BillingMode, Customer, customer_of, hear, linked, subscribed
from services.billing.domain.subscription import SubscriptionState
from shared.plans import Plan
from tests.services.billing.subscriptions import ENDS, STARTED, subscription
from tests.services.billing.tenants import AT, created

FREE = customer_of(created(plan=Plan.FREE))


class TestCustomerOf:
    def test_a_new_tenant_is_billed_by_hand(self) -> None:
        expected = Customer("demo-org", Plan.ENTERPRISE, BillingMode.MANUAL, created_at=AT, rev=1, heard_seq=3)
        assert customer_of(created(plan=Plan.ENTERPRISE, seq=3)) == expected


class TestHear:
    def test_takes_over_the_plan_that_an_operator_gave(self) -> None:
        heard = hear(FREE, created(plan=Plan.PRO, seq=2))
        assert (heard.plan, heard.rev, heard.heard_seq) == (Plan.PRO, 2, 2)

    def test_older_news_change_nothing(self) -> None:
        heard = hear(FREE, created(plan=Plan.PRO, seq=2))
        assert hear(heard, created(plan=Plan.ENTERPRISE, seq=2)) == heard

    def test_where_stripe_collects_the_plan_is_the_subscriptions(self) -> None:
        paying, _ = subscribed(FREE, subscription(), now=STARTED)
        assert hear(paying, created(plan=Plan.FREE, seq=2)).plan is Plan.PRO


class TestSubscribed:
    def test_says_what_has_changed_once(self) -> None:
        paying, [event] = subscribed(FREE, subscription(), now=STARTED)
        assert (paying.plan, paying.billing, paying.rev) == (Plan.PRO, BillingMode.STRIPE, 2)
        assert (event.id, event.seq, event.subject) == ("demo-org:subscription:2", 2, "demo-org")
        assert event.data.model_dump() == {
            "plan": "pro",
            "billing": "stripe",
            "status": "active",
            "subscription_status": "active",
            "grace_until": None,
        }
        assert subscribed(paying, subscription(), now=STARTED) == (paying, [])

    def test_a_checkout_that_nobody_finishes_leaves_a_manual_plan_alone(self) -> None:
        manual = customer_of(created(plan=Plan.ENTERPRISE))
        after, _ = subscribed(manual, subscription(SubscriptionState.INCOMPLETE), now=STARTED)
        assert (after.plan, after.billing, after.status) == (Plan.ENTERPRISE, BillingMode.MANUAL, "active")

    def test_an_end_makes_it_free_and_lets_an_operator_give_a_plan_again(self) -> None:
        paying, _ = subscribed(FREE, subscription(), now=STARTED)
        over = subscription(SubscriptionState.CANCELED, ended_at=ENDS)
        ended, _ = subscribed(paying, over, now=ENDS)
        assert (ended.plan, ended.billing) == (Plan.FREE, BillingMode.MANUAL)
        given = hear(ended, created(plan=Plan.PRO, seq=9))
        assert subscribed(given, over, now=ENDS + timedelta(days=1)) == (given, [])

    def test_grace_ends_without_any_news_of_stripe(self) -> None:
        failing = subscription(SubscriptionState.PAST_DUE, failing_since=ENDS)
        in_grace, _ = subscribed(FREE, failing, now=ENDS)
        assert (in_grace.status, in_grace.grace_until) == ("active", ENDS + timedelta(days=7))
        before, _ = subscribed(in_grace, failing, now=ENDS + timedelta(days=7, seconds=-1))
        assert before == in_grace
        over, [event] = subscribed(in_grace, failing, now=ENDS + timedelta(days=7))
        assert (over.status, event.data.status) == ("suspended_by_billing", "suspended_by_billing")
        assert subscribed(over, failing, now=ENDS + timedelta(days=8)) == (over, [])

    def test_a_new_period_is_kept_and_said_to_nobody(self) -> None:
        paying, _ = subscribed(FREE, subscription(), now=STARTED)
        after, events = subscribed(paying, replace(subscription(), next_plan=Plan.FREE), now=STARTED)
        assert (after.rev, events) == (3, [])


class TestChangeOfPlan:
    def test_within_a_period_is_noted_until_the_next_one(self) -> None:
        paying, _ = subscribed(FREE, subscription(), now=STARTED)
        at = STARTED + timedelta(days=3)
        dearer, _ = subscribed(paying, subscription(plan=Plan.ENTERPRISE), now=at)
        assert dearer.subscription
        assert dearer.subscription.counts_since == at
        assert subscribed(dearer, subscription(plan=Plan.ENTERPRISE), now=at + timedelta(days=1)) == (dearer, [])
        later, _ = subscribed(dearer, subscription(plan=Plan.ENTERPRISE, next_plan=Plan.PRO), now=at)
        assert later.subscription
        assert later.subscription.counts_since == at
        renewed = subscription(plan=Plan.PRO, period=Period(ENDS, ENDS + timedelta(days=31)))
        after, _ = subscribed(later, renewed, now=ENDS)
        assert after.subscription
        assert after.subscription.counts_since is None


class TestLinked:
    def test_raises_the_rev(self) -> None:
        assert (linked(FREE, "cus_1").stripe_customer_id, linked(FREE, "cus_1").rev) == ("cus_1", 2)
