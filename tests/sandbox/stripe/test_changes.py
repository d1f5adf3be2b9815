"""Changes of plan: prorated to the second, at once or at the period's end."""

from typing import Any

import pytest
import stripe
from hypothesis import given
from hypothesis import strategies as st

from infra.local.stripe import amounts
from tests.infra_local.stripe.servers import Running
from tests.infra_local.stripe.shop import DAY_S, HOUR_S, Plan, Shop, shop


@pytest.fixture
def store(stripe_: Running) -> Shop:
    return shop(stripe_)


def switch(subscription: stripe.Subscription, plan: Plan) -> Any:  # noqa: ANN401 — the SDK's own parameters
    """The items that turn a subscription into another plan."""
    base, tokens = subscription["items"].data
    return [{"id": base.id, "price": plan.base}, {"id": tokens.id, "price": plan.tokens}]


def upgrade(store: Shop, subscription: stripe.Subscription, **more: Any) -> stripe.Subscription:  # noqa: ANN401 — the SDK's own
    given: Any = {"items": switch(subscription, store.enterprise), "proration_behavior": "always_invoice", **more}
    return store.client.v1.subscriptions.update(subscription.id, given)


def prices_of(subscription: stripe.Subscription) -> set[str]:
    return {item.price.id for item in subscription["items"].data}


class TestUpgrade:
    def test_costs_the_rest_of_the_period_to_the_second(self, store: Shop) -> None:
        customer = store.customer()
        subscription = store.subscribe(customer)
        item = subscription["items"].data[0]
        at = item.current_period_start + 10 * DAY_S + 7
        store.move_clock(at)
        upgrade(store, subscription, proration_date=at)
        [_, invoice] = store.invoices(customer)
        left, whole = item.current_period_end - at, item.current_period_end - item.current_period_start
        lines = [line.amount for line in invoice.lines.data]
        assert lines == [
            -amounts.share(2_900, part_s=left, whole_s=whole),
            amounts.share(29_900, part_s=left, whole_s=whole),
        ]
        assert (invoice.billing_reason, invoice.status, invoice.total) == ("subscription_update", "paid", sum(lines))

    def test_bills_what_was_used_before_at_the_old_price(self, store: Shop) -> None:
        customer = store.customer()
        subscription = store.subscribe(customer)
        start = subscription["items"].data[0].current_period_start
        store.use(customer, 2_000_000, identifier="before", at=start + 60)
        store.move_clock(start + 2 * DAY_S)
        upgrade(store, subscription, proration_date=start + 2 * DAY_S)
        store.use(customer, 3_000_000, identifier="after", at=start + 2 * DAY_S)
        store.pass_period(subscription.id, plus_s=DAY_S)
        [_, change, month] = store.invoices(customer)
        assert [line.amount for line in change.lines.data if line.quantity == 2_000_000] == [200]
        assert [line.amount for line in month.lines.data if line.quantity == 3_000_000] == [150]

    def test_is_shown_before_it_is_made(self, store: Shop) -> None:
        customer = store.customer()
        subscription = store.subscribe(customer)
        at = subscription["items"].data[0].current_period_start + DAY_S
        store.move_clock(at)
        details: Any = {
            "items": switch(subscription, store.enterprise),
            "proration_behavior": "always_invoice",
            "proration_date": at,
        }
        shown = store.client.v1.invoices.create_preview(
            {"customer": customer, "subscription": subscription.id, "subscription_details": details}
        )
        assert prices_of(store.reload(subscription.id)) == {store.pro.base, store.pro.tokens}
        upgrade(store, subscription, proration_date=at)
        assert store.invoices(customer)[1].total == shown.total

    def test_changes_nothing_when_it_cannot_be_paid(self, store: Shop) -> None:
        customer = store.customer()
        subscription = store.subscribe(customer)
        store.local.control("settings", {"decline_payments": 1})
        with pytest.raises(stripe.CardError):
            upgrade(store, subscription, payment_behavior="error_if_incomplete")
        assert prices_of(store.reload(subscription.id)) == {store.pro.base, store.pro.tokens}
        assert len(store.invoices(customer)) == 1


class TestDowngrade:
    def test_waits_for_the_end_of_the_period(self, store: Shop) -> None:
        customer = store.customer()
        subscription = store.subscribe(customer, store.enterprise)
        schedules = store.client.v1.subscription_schedules
        schedule = schedules.create({"from_subscription": subscription.id})
        first = schedule.phases[0]
        phases: Any = [
            {
                "items": [{"price": item.price} for item in first["items"]],
                "start_date": first.start_date,
                "end_date": first.end_date,
            },
            {
                "items": [{"price": store.pro.base, "quantity": 1}, {"price": store.pro.tokens}],
                "proration_behavior": "none",
                "metadata": {"plan": "pro"},
            },
        ]
        schedules.update(schedule.id, {"phases": phases, "end_behavior": "release"})
        assert prices_of(store.reload(subscription.id)) == {store.enterprise.base, store.enterprise.tokens}
        store.use(customer, 2_000_000, identifier="at the old price")
        store.pass_period(subscription.id, plus_s=DAY_S + HOUR_S)
        now = store.reload(subscription.id)
        assert prices_of(now) == {store.pro.base, store.pro.tokens}
        assert (now.status, now.metadata["plan"]) == ("active", "pro")
        [_, month] = store.invoices(customer)
        assert sorted(line.amount for line in month.lines.data) == [100, 2_900]

    def test_ends_its_schedule_after_its_last_phase(self, store: Shop) -> None:
        subscription = store.subscribe(store.customer())
        schedule = store.client.v1.subscription_schedules.create({"from_subscription": subscription.id})
        store.pass_period(subscription.id, plus_s=1)
        done = store.client.v1.subscription_schedules.retrieve(schedule.id)
        assert (done.status, done.released_subscription) == ("released", subscription.id)
        assert store.reload(subscription.id).schedule is None

    def test_can_be_given_up(self, store: Shop) -> None:
        subscription = store.subscribe(store.customer())
        schedule = store.client.v1.subscription_schedules.create({"from_subscription": subscription.id})
        assert store.client.v1.subscription_schedules.release(schedule.id).status == "released"
        assert store.reload(subscription.id).schedule is None


class TestEnd:
    def test_at_the_periods_end_bills_the_usage_and_no_base(self, store: Shop) -> None:
        customer = store.customer()
        subscription = store.subscribe(customer)
        start = subscription["items"].data[0].current_period_start
        store.client.v1.subscriptions.update(subscription.id, {"cancel_at_period_end": True})
        store.pass_period(subscription.id, plus_s=60)
        assert store.reload(subscription.id).status == "canceled"
        store.use(customer, 1_000_000, identifier="flushed in the grace", at=start)
        store.local.control("clock", {"advance_s": DAY_S})
        [_, last] = store.invoices(customer)
        assert (last.status, last.total) == ("paid", 100)
        assert store.local.types().count("customer.subscription.deleted") == 1

    def test_can_be_taken_back(self, store: Shop) -> None:
        subscription = store.subscribe(store.customer())
        store.client.v1.subscriptions.update(subscription.id, {"cancel_at_period_end": True})
        store.client.v1.subscriptions.update(subscription.id, {"cancel_at_period_end": False})
        store.pass_period(subscription.id, plus_s=60)
        assert store.reload(subscription.id).status == "active"

    def test_now_bills_the_usage_when_it_is_told_to(self, store: Shop) -> None:
        customer = store.customer()
        subscription = store.subscribe(customer)
        store.use(customer, 1_000_000, identifier="used", at=subscription.start_date)
        store.local.control("clock", {"advance_s": 60})
        ended = store.client.v1.subscriptions.cancel(subscription.id, {"invoice_now": True})
        store.local.control("clock", {"advance_s": DAY_S + 60})
        assert ended.status == "canceled"
        assert [one.total for one in store.invoices(customer)] == [2_900, 100]


class TestTrial:
    def test_owes_nothing_and_then_the_first_month(self, store: Shop) -> None:
        customer = store.customer()
        subscription = store.subscribe(customer, trial_period_days=14)
        assert (subscription.status, store.invoices(customer)) == ("trialing", [])
        store.local.control("clock", {"advance_s": 12 * DAY_S})
        assert "customer.subscription.trial_will_end" in store.local.types()
        store.local.control("clock", {"advance_s": 4 * DAY_S})
        assert store.reload(subscription.id).status == "active"
        assert [one.total for one in store.invoices(customer)] == [2_900]

    def test_without_a_card_pauses_and_can_be_resumed(self, store: Shop) -> None:
        settings: Any = {"end_behavior": {"missing_payment_method": "pause"}}
        subscription = store.subscribe(store.customer(card=None), trial_period_days=1, trial_settings=settings)
        store.local.control("clock", {"advance_s": DAY_S + 60})
        assert store.reload(subscription.id).status == "paused"
        store.client.v1.subscriptions.resume(subscription.id)
        assert store.reload(subscription.id).status == "active"
        told = [kind for kind in store.local.types() if kind.endswith(("paused", "resumed"))]
        assert told == ["customer.subscription.paused", "customer.subscription.resumed"]


class TestShare:
    @given(cents=st.integers(0, 10**9), whole=st.integers(1, 32 * DAY_S), data=st.data())
    def test_what_comes_back_and_what_is_kept_are_the_whole(self, cents: int, whole: int, data: st.DataObject) -> None:
        part = data.draw(st.integers(0, whole))
        together = amounts.share(cents, part_s=part, whole_s=whole) + amounts.share(
            cents, part_s=whole - part, whole_s=whole
        )
        assert together - cents in {0, 1}, "two halves of a cent are rounded up, both"

    @given(cents=st.integers(0, 10**9), whole=st.integers(1, 32 * DAY_S), data=st.data())
    def test_never_differs_by_more_than_half_a_cent(self, cents: int, whole: int, data: st.DataObject) -> None:
        part = data.draw(st.integers(0, whole))
        exact_times_whole = cents * part
        given = amounts.share(cents, part_s=part, whole_s=whole)
        assert abs(2 * (given * whole - exact_times_whole)) <= whole
        assert amounts.share(-cents, part_s=part, whole_s=whole) == -given
