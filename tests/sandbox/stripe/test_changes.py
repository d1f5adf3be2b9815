"""Changes of plan, prorated to the second, at once or at the period's end."""

from typing import Any

import pytest
import stripe
from hypothesis import given
from hypothesis import strategies as st

from sandbox.stripe import amounts
from tests.sandbox.stripe.servers import Running
from tests.sandbox.stripe.shop import DAY_S, HOUR_S, PlanCatalog, PlanPrices, shop


@pytest.fixture
def store(stripe_: Running) -> PlanCatalog:
    return shop(stripe_)


def switch(subscription: stripe.Subscription, plan: PlanPrices) -> Any:  # noqa: ANN401 — the SDK's own parameters
    """Return the items that switch a subscription to another plan."""
    base, tokens = subscription["items"].data
    return [{"id": base.id, "price": plan.base}, {"id": tokens.id, "price": plan.tokens}]


def upgrade(store: PlanCatalog, subscription: stripe.Subscription, **more: Any) -> stripe.Subscription:  # noqa: ANN401 — the SDK's own
    arguments: Any = {"items": switch(subscription, store.enterprise), "proration_behavior": "always_invoice", **more}
    return store.client.v1.subscriptions.update(subscription.id, arguments)


def prices_of(subscription: stripe.Subscription) -> set[str]:
    return {item.price.id for item in subscription["items"].data}


class TestUpgrade:
    def test_is_prorated_to_the_second(self, store: PlanCatalog) -> None:
        customer = store.customer()
        subscription = store.subscribe(customer)
        item = subscription["items"].data[0]
        at = item.current_period_start + 10 * DAY_S + 7
        store.move_clock(at)
        upgrade(store, subscription, proration_date=at)
        [_, invoice] = store.invoices(customer)
        left, period_s = item.current_period_end - at, item.current_period_end - item.current_period_start
        lines = [line.amount for line in invoice.lines.data]
        assert lines == [
            -amounts.share(2_900, part_s=left, whole_s=period_s),
            amounts.share(29_900, part_s=left, whole_s=period_s),
        ]
        assert (invoice.billing_reason, invoice.status, invoice.total) == ("subscription_update", "paid", sum(lines))

    def test_bills_earlier_usage_at_the_old_price(self, store: PlanCatalog) -> None:
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

    def test_can_be_previewed(self, store: PlanCatalog) -> None:
        customer = store.customer()
        subscription = store.subscribe(customer)
        at = subscription["items"].data[0].current_period_start + DAY_S
        store.move_clock(at)
        details: Any = {
            "items": switch(subscription, store.enterprise),
            "proration_behavior": "always_invoice",
            "proration_date": at,
        }
        preview = store.client.v1.invoices.create_preview(
            {"customer": customer, "subscription": subscription.id, "subscription_details": details}
        )
        assert prices_of(store.reload(subscription.id)) == {store.pro.base, store.pro.tokens}
        upgrade(store, subscription, proration_date=at)
        assert store.invoices(customer)[1].total == preview.total

    def test_changes_nothing_if_the_payment_fails(self, store: PlanCatalog) -> None:
        customer = store.customer()
        subscription = store.subscribe(customer)
        store.local.control("settings", {"decline_payments": 1})
        with pytest.raises(stripe.CardError):
            upgrade(store, subscription, payment_behavior="error_if_incomplete")
        assert prices_of(store.reload(subscription.id)) == {store.pro.base, store.pro.tokens}
        assert len(store.invoices(customer)) == 1


class TestDowngrade:
    def test_waits_for_the_end_of_the_period(self, store: PlanCatalog) -> None:
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

    def test_ends_its_schedule_after_the_last_phase(self, store: PlanCatalog) -> None:
        subscription = store.subscribe(store.customer())
        schedule = store.client.v1.subscription_schedules.create({"from_subscription": subscription.id})
        store.pass_period(subscription.id, plus_s=1)
        done = store.client.v1.subscription_schedules.retrieve(schedule.id)
        assert (done.status, done.released_subscription) == ("released", subscription.id)
        assert store.reload(subscription.id).schedule is None

    def test_can_be_released(self, store: PlanCatalog) -> None:
        subscription = store.subscribe(store.customer())
        schedule = store.client.v1.subscription_schedules.create({"from_subscription": subscription.id})
        assert store.client.v1.subscription_schedules.release(schedule.id).status == "released"
        assert store.reload(subscription.id).schedule is None


class TestCancellation:
    def test_at_the_end_of_the_period_bills_usage_and_no_base_price(self, store: PlanCatalog) -> None:
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

    def test_can_be_reverted(self, store: PlanCatalog) -> None:
        subscription = store.subscribe(store.customer())
        store.client.v1.subscriptions.update(subscription.id, {"cancel_at_period_end": True})
        store.client.v1.subscriptions.update(subscription.id, {"cancel_at_period_end": False})
        store.pass_period(subscription.id, plus_s=60)
        assert store.reload(subscription.id).status == "active"

    def test_immediate_bills_usage_on_request(self, store: PlanCatalog) -> None:
        customer = store.customer()
        subscription = store.subscribe(customer)
        store.use(customer, 1_000_000, identifier="used", at=subscription.start_date)
        store.local.control("clock", {"advance_s": 60})
        ended = store.client.v1.subscriptions.cancel(subscription.id, {"invoice_now": True})
        store.local.control("clock", {"advance_s": DAY_S + 60})
        assert ended.status == "canceled"
        assert [one.total for one in store.invoices(customer)] == [2_900, 100]


class TestTrial:
    def test_is_free_and_then_bills_the_first_month(self, store: PlanCatalog) -> None:
        customer = store.customer()
        subscription = store.subscribe(customer, trial_period_days=14)
        assert (subscription.status, store.invoices(customer)) == ("trialing", [])
        store.local.control("clock", {"advance_s": 12 * DAY_S})
        assert "customer.subscription.trial_will_end" in store.local.types()
        store.local.control("clock", {"advance_s": 4 * DAY_S})
        assert store.reload(subscription.id).status == "active"
        assert [one.total for one in store.invoices(customer)] == [2_900]

    def test_without_a_card_pauses_the_subscription(self, store: PlanCatalog) -> None:
        settings: Any = {"end_behavior": {"missing_payment_method": "pause"}}
        subscription = store.subscribe(store.customer(card=None), trial_period_days=1, trial_settings=settings)
        store.local.control("clock", {"advance_s": DAY_S + 60})
        assert store.reload(subscription.id).status == "paused"
        store.client.v1.subscriptions.resume(subscription.id)
        assert store.reload(subscription.id).status == "active"
        event_types = [kind for kind in store.local.types() if kind.endswith(("paused", "resumed"))]
        assert event_types == ["customer.subscription.paused", "customer.subscription.resumed"]


class TestProratedShare:
    @given(cents=st.integers(0, 10**9), period_s=st.integers(1, 32 * DAY_S), data=st.data())
    def test_credit_and_charge_add_up_to_the_price(self, cents: int, period_s: int, data: st.DataObject) -> None:
        part = data.draw(st.integers(0, period_s))
        together = amounts.share(cents, part_s=part, whole_s=period_s) + amounts.share(
            cents, part_s=period_s - part, whole_s=period_s
        )
        assert together - cents in {0, 1}, "two halves of a cent are rounded up, both"

    @given(cents=st.integers(0, 10**9), period_s=st.integers(1, 32 * DAY_S), data=st.data())
    def test_never_differs_by_more_than_half_a_cent(self, cents: int, period_s: int, data: st.DataObject) -> None:
        part = data.draw(st.integers(0, period_s))
        exact_times_whole = cents * part
        cents_of_part = amounts.share(cents, part_s=part, whole_s=period_s)
        assert abs(2 * (cents_of_part * period_s - exact_times_whole)) <= period_s
        assert amounts.share(-cents, part_s=part, whole_s=period_s) == -cents_of_part
