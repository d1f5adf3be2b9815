"""The real gateway against the local Stripe, every request and answer judged by Stripe's own description."""

from collections.abc import Generator
from datetime import timedelta

import pytest

from services.billing.domain.catalogue import Difference
from services.billing.domain.cost import Period, proration
from services.billing.domain.customer import BillingMode
from services.billing.domain.invoice import Invoice
from services.billing.domain.price import BilledMeter
from services.billing.domain.usage import HOUR, EntryState, hour_of
from services.billing.errors import AlreadySubscribed, KeyReused, PaymentsUnavailable, PriceInUse, RefusedByStripe
from services.billing.operations.costs import cost_of, explain_invoice
from services.billing.operations.plans import change_plan, open_portal
from services.billing.operations.setup import set_up
from services.billing.operations.sweeping import sweep_usage
from services.billing.table.entries import entries_between
from services.billing.table.invoices import list_invoices
from shared.plans import Plan
from tests.infra_local.stripe.servers import refuse_without_description
from tests.services.billing.stripes import TENANT, Shop, shop

DAY_S = 86_400


@pytest.fixture
def at() -> Generator[Shop]:
    """A shop."""
    refuse_without_description()
    with shop() as made:
        yield made


def newest(at: Shop) -> Invoice:
    return list_invoices(at.store, TENANT)[0]


class TestSetUp:
    def test_done_again_does_nothing(self, at: Shop) -> None:
        assert {step.difference for step in set_up(at.shelf)} == {Difference.SAME}

    def test_a_price_that_is_in_use_is_not_replaced(self, at: Shop) -> None:
        at.subscribe()
        there = at.shelf.catalogue()
        assert there.prices["ainexus_pro_tokens_in"].in_use
        assert not there.prices["ainexus_enterprise_tokens_in"].in_use


class TestCheckout:
    def test_leads_to_the_plan(self, at: Shop) -> None:
        at.subscribe()
        customer = at.customer
        assert (customer.plan, customer.billing, customer.status) == (Plan.PRO, BillingMode.STRIPE, "active")
        assert customer.subscription
        assert customer.subscription.period.end - customer.subscription.period.start >= timedelta(days=28)
        assert [(one.status, one.amount_cents) for one in list_invoices(at.store, TENANT)] == [("paid", 2900)]

    def test_with_the_same_key_is_the_same_and_of_another_plan_refused(self, at: Shop) -> None:
        assert at.checkout(key="k") == at.checkout(key="k")
        with pytest.raises(KeyReused):
            at.checkout(Plan.ENTERPRISE, key="k")

    def test_is_refused_to_who_has_a_subscription(self, at: Shop) -> None:
        at.subscribe()
        with pytest.raises(AlreadySubscribed):
            at.checkout(Plan.ENTERPRISE)

    def test_the_portal_is_for_its_customer(self, at: Shop) -> None:
        at.subscribe()
        assert at.local.url in open_portal(at.store, at.payments, TENANT, return_url="http://localhost:3000")


class TestChangeOfPlan:
    def test_up_is_at_once_with_the_proration_that_was_said(self, at: Shop) -> None:
        at.subscribe()
        at.advance(10 * DAY_S)
        subscription = at.customer.subscription
        assert subscription
        expected = proration(Plan.PRO, Plan.ENTERPRISE, period=subscription.period, at=at.now)
        change_plan(at.store, at.payments, TENANT, Plan.ENTERPRISE, now=at.now)
        at.hear()
        assert at.customer.plan is Plan.ENTERPRISE
        lines = {line.amount_cents for line in newest(at).lines if line.proration}
        assert {-expected.credit_cents, expected.charge_cents} <= lines

    def test_up_loses_no_usage_of_the_hours_that_are_not_closed_yet(self, at: Shop) -> None:
        at.subscribe()
        at.advance(5 * 3600)
        hour = hour_of(at.now)
        at.use(hour - 2 * HOUR, tokens_in=700_000)
        change_plan(at.store, at.payments, TENANT, Plan.ENTERPRISE, now=at.now)
        at.hear()
        at.advance(3600)
        at.use(hour - HOUR, tokens_in=20_000_000)
        at.use(hour, tokens_in=3_000_000)
        so_far = {line.item: line.quantity for line in cost_of(at.store, TENANT, now=at.now).so_far.lines}
        at.advance(32 * DAY_S)
        billed = [
            line.quantity
            for invoice in list_invoices(at.store, TENANT)
            for line in invoice.lines
            if line.item == "tokens_in" and line.quantity
        ]
        assert sorted(billed) == [700_000, 23_000_000]
        for invoice in list_invoices(at.store, TENANT):
            for line in explain_invoice(at.store, TENANT, invoice.invoice_id)[1]:
                assert not line.line.meter or sum(one.quantity for one in line.entries) == line.line.quantity
        assert so_far["tokens_in"] == 23_000_000

    def test_down_is_at_the_end_of_the_period_and_can_be_taken_back(self, at: Shop) -> None:
        at.subscribe(Plan.ENTERPRISE)
        change_plan(at.store, at.payments, TENANT, Plan.PRO, now=at.now)
        assert at.customer.subscription
        assert (at.customer.plan, at.customer.subscription.next_plan) == (Plan.ENTERPRISE, Plan.PRO)
        change_plan(at.store, at.payments, TENANT, Plan.ENTERPRISE, now=at.now)
        assert at.customer.subscription.next_plan is None
        change_plan(at.store, at.payments, TENANT, Plan.PRO, now=at.now)
        at.advance(32 * DAY_S)
        assert (at.customer.plan, at.customer.subscription.next_plan) == (Plan.PRO, None)

    def test_to_free_ends_the_subscription_then(self, at: Shop) -> None:
        at.subscribe()
        change_plan(at.store, at.payments, TENANT, Plan.FREE, now=at.now)
        assert at.customer.subscription
        assert (at.customer.plan, at.customer.subscription.next_plan) == (Plan.PRO, Plan.FREE)
        at.advance(32 * DAY_S)
        assert (at.customer.plan, at.customer.billing) == (Plan.FREE, BillingMode.MANUAL)


class TestUsage:
    def test_of_a_period_stands_on_its_invoice_to_the_last_token(self, at: Shop) -> None:
        at.subscribe()
        started = hour_of(at.now)
        at.advance(6 * 3600)
        at.use(started, tokens_in=1_000_000)  # the hour of the start is free
        at.use(started + HOUR, tokens_in=1_234_567, tokens_out=89, storage_byte_hours=3_700_000, egress_bytes=5)
        at.use(started + 2 * HOUR, tokens_in=1, storage_byte_hours=400_000)
        at.use(started + HOUR, rev=1, tokens_in=-67, storage_byte_hours=-200_000)
        so_far = cost_of(at.store, TENANT, now=at.now).so_far
        at.advance(32 * DAY_S)
        invoice, lines = explain_invoice(at.store, TENANT, newest(at).invoice_id)
        assert invoice.status == "paid"
        quantities = {line.line.item: line.line.quantity for line in lines}
        assert quantities == {
            "base": 1,
            "tokens_in": 1_234_501,
            "tokens_out": 89,
            "storage_mb_hours": 3,
            "egress_bytes": 5,
        }
        for line in lines[1:]:
            if line.line.meter:
                assert sum(entry.quantity for entry in line.entries) == line.line.quantity
        assert invoice.amount_cents == sum(line.line.amount_cents for line in lines) == so_far.amount_cents

    def test_twice_it_counts_once_and_stripes_sum_says_so(self, at: Shop) -> None:
        at.subscribe()
        at.advance(4 * 3600)
        hour = hour_of(at.now) - 2 * HOUR
        at.use(hour, tokens_in=120)
        [entry] = entries_between(at.store, TENANT, Period(hour, hour + HOUR))
        customer_id = str(at.customer.stripe_customer_id)
        at.payments.send(customer_id, entry)
        at.local.control("settings", {"meter_lag_s": 0})
        counted = at.payments.sum_of(customer_id, BilledMeter.TOKENS_IN, start=hour, end=hour + HOUR)
        assert (entry.state, counted) == (EntryState.ACCEPTED, 120)

    @pytest.mark.parametrize("kind", ["429", "lock_timeout", "500", "lost_answer"])
    def test_what_goes_wrong_at_stripe_is_made_good(self, at: Shop, kind: str) -> None:
        at.subscribe()
        at.advance(4 * 3600)
        hour = hour_of(at.now) - 2 * HOUR
        at.local.control("faults", {"next": [{"kind": kind, "times": 2, "path": "/v1/billing/meter_events"}]})
        at.use(hour, tokens_in=120, tokens_out=7)
        for minute in range(1, 5):
            sweep_usage(at.store, at.payments, now=at.now + timedelta(minutes=minute))
        counted = {one["identifier"]: one["value"] for one in at.local.control("meter_events")["events"]}
        name = f"{hour:%Y-%m-%dT%H}:0"
        assert counted == {f"{TENANT}:tokens_in:{name}": 120, f"{TENANT}:tokens_out:{name}": 7}
        entries = entries_between(at.store, TENANT, Period(hour, hour + HOUR))
        assert {entry.state for entry in entries} == {EntryState.ACCEPTED}

    def test_of_too_long_ago_is_refused_for_ever(self, at: Shop) -> None:
        at.subscribe()
        at.advance(4 * 3600)
        hour = hour_of(at.now) - 2 * HOUR
        at.use(hour, tokens_in=1)
        [entry] = entries_between(at.store, TENANT, Period(hour, hour + HOUR))
        at.advance(40 * DAY_S)
        with pytest.raises(RefusedByStripe):
            at.payments.send("cus_nobody", entry)


class TestDunning:
    def test_a_failed_renewal_gives_grace_then_suspends_and_payment_ends_it(self, at: Shop) -> None:
        at.subscribe()
        at.local.control("settings", {"decline_payments": -1})
        at.advance(33 * DAY_S)
        assert (at.customer.status, at.customer.plan) == ("active", Plan.PRO)
        assert at.customer.grace_until
        assert newest(at).status == "open"
        at.advance(40 * DAY_S)
        assert at.customer.status == "suspended_by_billing"
        at.local.control("settings", {"decline_payments": 0})
        assert at.customer.subscription
        at.local.control(f"subscriptions/{at.customer.subscription.subscription_id}", {"status": "active"})
        at.hear()
        assert (at.customer.status, at.customer.grace_until) == ("active", None)
        assert {one.status for one in list_invoices(at.store, TENANT)} <= {"paid", "draft", "void"}


class TestOutOfReach:
    def test_a_stripe_that_is_gone_is_unavailable(self, at: Shop) -> None:
        at.local.control("faults", {"next": [{"kind": "500", "times": 1, "path": "/v1/customers"}]})
        with pytest.raises(PaymentsUnavailable):
            at.payments.create_customer("acme")


def test_a_refusal_names_the_prices() -> None:
    assert "ainexus_pro_base" in str(PriceInUse("ainexus_pro_base"))
