"""The Stripe gateway against the local Stripe, with all traffic validated by Stripe's API description."""

from collections.abc import Generator
from datetime import timedelta

import pytest

from services.billing.catalog.domain import BilledMeter, SetupAction
from services.billing.catalog.operations import set_up
from services.billing.charges.operations import get_charges
from services.billing.customers.domain.customer import BillingMode
from services.billing.customers.domain.period import BillingPeriod
from services.billing.errors import AlreadySubscribed, KeyReused, PaymentsUnavailable, PriceInUse, RejectedByStripe
from services.billing.invoices.domain import Invoice
from services.billing.invoices.operations import explain_invoice
from services.billing.invoices.table import InvoiceTable
from services.billing.stripe_api.gateway.client import make_client
from services.billing.subscriptions.domain import proration
from services.billing.subscriptions.operations import change_plan, open_portal
from services.billing.usage_sync.domain import HOUR, EntryState, hour_of
from services.billing.usage_sync.operations.sweeping import sweep_usage
from services.billing.usage_sync.table.entries import SyncLedger
from shared.plans import Plan
from tests.sandbox.stripe.servers import KEYS, refuse_without_description
from tests.services.billing.local_stripe import TENANT, StripeWorld, stripe_world

DAY_S = 86_400


@pytest.fixture
def at() -> Generator[StripeWorld]:
    """Yield a tenant and its local Stripe."""
    refuse_without_description()
    with stripe_world() as world:
        yield world


def newest(at: StripeWorld) -> Invoice:
    return InvoiceTable(at.store, TENANT).newest_first()[0]


class TestSetUp:
    def test_is_idempotent(self, at: StripeWorld) -> None:
        assert {step.action for step in set_up(at.catalog)} == {SetupAction.SAME}

    def test_does_not_replace_a_price_in_use(self, at: StripeWorld) -> None:
        at.subscribe()
        existing = at.catalog.catalog()
        assert existing.prices["ainexus_pro_tokens_in"].in_use
        assert not existing.prices["ainexus_enterprise_tokens_in"].in_use


class TestCheckout:
    def test_subscribes_to_the_plan(self, at: StripeWorld) -> None:
        at.subscribe()
        customer = at.customer
        assert (customer.plan, customer.billing, customer.status) == (Plan.PRO, BillingMode.STRIPE, "active")
        assert customer.subscription
        assert customer.subscription.period.end - customer.subscription.period.start >= timedelta(days=28)
        invoices = InvoiceTable(at.store, TENANT).newest_first()
        assert [(one.status, one.amount_cents) for one in invoices] == [("paid", 2900)]

    def test_with_the_same_key_is_idempotent_and_refused_for_another_plan(self, at: StripeWorld) -> None:
        assert at.checkout(key="k") == at.checkout(key="k")
        with pytest.raises(KeyReused):
            at.checkout(Plan.ENTERPRISE, key="k")

    def test_is_refused_with_an_ongoing_subscription(self, at: StripeWorld) -> None:
        at.subscribe()
        with pytest.raises(AlreadySubscribed):
            at.checkout(Plan.ENTERPRISE)

    def test_the_portal_belongs_to_the_customer(self, at: StripeWorld) -> None:
        at.subscribe()
        assert at.local.url in open_portal(at.store, at.gateway, TENANT, return_url="http://localhost:3000")


class TestChangeOfPlan:
    def test_an_upgrade_is_immediate_with_the_announced_proration(self, at: StripeWorld) -> None:
        at.subscribe()
        at.advance(10 * DAY_S)
        subscription = at.customer.subscription
        assert subscription
        expected = proration(Plan.PRO, Plan.ENTERPRISE, period=subscription.period, at=at.now)
        change_plan(at.store, at.gateway, TENANT, Plan.ENTERPRISE, now=at.now)
        at.handle_webhooks()
        assert at.customer.plan is Plan.ENTERPRISE
        lines = {line.amount_cents for line in newest(at).lines if line.proration}
        assert {-expected.credit_cents, expected.charge_cents} <= lines

    def test_an_upgrade_loses_no_usage_of_open_hours(self, at: StripeWorld) -> None:
        at.subscribe()
        at.advance(5 * 3600)
        hour = hour_of(at.now)
        at.close_hour(hour - 2 * HOUR, tokens_in=700_000)
        change_plan(at.store, at.gateway, TENANT, Plan.ENTERPRISE, now=at.now)
        at.handle_webhooks()
        at.advance(3600)
        at.close_hour(hour - HOUR, tokens_in=20_000_000)
        at.close_hour(hour, tokens_in=3_000_000)
        so_far = {line.item: line.quantity for line in get_charges(at.store, TENANT, now=at.now).so_far.lines}
        at.advance(32 * DAY_S)
        billed = [
            line.quantity
            for invoice in InvoiceTable(at.store, TENANT).newest_first()
            for line in invoice.lines
            if line.item == "tokens_in" and line.quantity
        ]
        assert sorted(billed) == [700_000, 23_000_000]
        for invoice in InvoiceTable(at.store, TENANT).newest_first():
            for line in explain_invoice(at.store, TENANT, invoice.invoice_id)[1]:
                assert not line.line.meter or sum(one.quantity for one in line.entries) == line.line.quantity
        assert so_far["tokens_in"] == 23_000_000

    def test_a_downgrade_is_at_the_end_of_the_period_and_can_be_canceled(self, at: StripeWorld) -> None:
        at.subscribe(Plan.ENTERPRISE)
        change_plan(at.store, at.gateway, TENANT, Plan.PRO, now=at.now)
        assert at.customer.subscription
        assert (at.customer.plan, at.customer.subscription.next_plan) == (Plan.ENTERPRISE, Plan.PRO)
        change_plan(at.store, at.gateway, TENANT, Plan.ENTERPRISE, now=at.now)
        assert at.customer.subscription.next_plan is None
        change_plan(at.store, at.gateway, TENANT, Plan.PRO, now=at.now)
        at.advance(32 * DAY_S)
        assert (at.customer.plan, at.customer.subscription.next_plan) == (Plan.PRO, None)

    def test_a_cancellation_made_at_stripe_can_be_canceled(self, at: StripeWorld) -> None:
        at.subscribe(Plan.ENTERPRISE)
        assert at.customer.subscription
        subscription_id = at.customer.subscription.subscription_id
        client = make_client(KEYS.api_key, api_base=at.local.url)
        client.v1.subscriptions.update(subscription_id, {"cancel_at": int(at.now.timestamp()) + 10 * DAY_S})
        at.handle_webhooks()
        assert at.customer.subscription.next_plan == Plan.FREE
        change_plan(at.store, at.gateway, TENANT, Plan.ENTERPRISE, now=at.now)
        assert at.customer.subscription.next_plan is None
        at.advance(32 * DAY_S)
        assert at.customer.plan == Plan.ENTERPRISE

    def test_a_downgrade_to_free_ends_the_subscription_at_the_end(self, at: StripeWorld) -> None:
        at.subscribe()
        change_plan(at.store, at.gateway, TENANT, Plan.FREE, now=at.now)
        assert at.customer.subscription
        assert (at.customer.plan, at.customer.subscription.next_plan) == (Plan.PRO, Plan.FREE)
        at.advance(32 * DAY_S)
        assert (at.customer.plan, at.customer.billing) == (Plan.FREE, BillingMode.MANUAL)


class TestUsage:
    def test_of_a_period_is_on_its_invoice_to_the_last_token(self, at: StripeWorld) -> None:
        at.subscribe()
        started = hour_of(at.now)
        at.advance(6 * 3600)
        at.close_hour(started, tokens_in=1_000_000)  # the hour of the start is free
        at.close_hour(started + HOUR, tokens_in=1_234_567, tokens_out=89, storage_byte_hours=3_700_000, egress_bytes=5)
        at.close_hour(started + 2 * HOUR, tokens_in=1, storage_byte_hours=400_000)
        at.close_hour(started + HOUR, rev=1, tokens_in=-67, storage_byte_hours=-200_000)
        so_far = get_charges(at.store, TENANT, now=at.now).so_far
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

    def test_sent_twice_is_counted_once_in_the_sum(self, at: StripeWorld) -> None:
        at.subscribe()
        at.advance(4 * 3600)
        hour = hour_of(at.now) - 2 * HOUR
        at.close_hour(hour, tokens_in=120)
        [entry] = SyncLedger(at.store, TENANT).between(BillingPeriod(hour, hour + HOUR))
        customer_id = str(at.customer.stripe_customer_id)
        at.gateway.send(customer_id, entry)
        at.local.control("settings", {"meter_lag_s": 0})
        counted = at.gateway.sum_of(customer_id, BilledMeter.TOKENS_IN, start=hour, end=hour + HOUR)
        assert (entry.state, counted) == (EntryState.ACCEPTED, 120)

    @pytest.mark.parametrize("kind", ["429", "lock_timeout", "500", "lost_answer"])
    def test_is_complete_after_failures_at_stripe(self, at: StripeWorld, kind: str) -> None:
        at.subscribe()
        at.advance(4 * 3600)
        hour = hour_of(at.now) - 2 * HOUR
        at.local.control("faults", {"next": [{"kind": kind, "times": 2, "path": "/v1/billing/meter_events"}]})
        at.close_hour(hour, tokens_in=120, tokens_out=7)
        for minute in range(1, 5):
            sweep_usage(at.store, at.gateway, now=at.now + timedelta(minutes=minute))
        counted = {one["identifier"]: one["value"] for one in at.local.control("meter_events")["events"]}
        name = f"{hour:%Y-%m-%dT%H}:0"
        assert counted == {f"{TENANT}:tokens_in:{name}": 120, f"{TENANT}:tokens_out:{name}": 7}
        entries = SyncLedger(at.store, TENANT).between(BillingPeriod(hour, hour + HOUR))
        assert {entry.state for entry in entries} == {EntryState.ACCEPTED}

    def test_that_is_too_old_is_rejected_permanently(self, at: StripeWorld) -> None:
        at.subscribe()
        at.advance(4 * 3600)
        hour = hour_of(at.now) - 2 * HOUR
        at.close_hour(hour, tokens_in=1)
        [entry] = SyncLedger(at.store, TENANT).between(BillingPeriod(hour, hour + HOUR))
        at.advance(40 * DAY_S)
        with pytest.raises(RejectedByStripe):
            at.gateway.send("cus_nobody", entry)


class TestDunning:
    def test_a_failed_renewal_grants_grace_then_suspends_until_payment(self, at: StripeWorld) -> None:
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
        at.handle_webhooks()
        assert (at.customer.status, at.customer.grace_until) == ("active", None)
        assert {one.status for one in InvoiceTable(at.store, TENANT).newest_first()} <= {"paid", "draft", "void"}


class TestUnavailable:
    def test_raises_unavailable_if_stripe_is_down(self, at: StripeWorld) -> None:
        at.local.control("faults", {"next": [{"kind": "500", "times": 1, "path": "/v1/customers"}]})
        with pytest.raises(PaymentsUnavailable):
            at.gateway.create_customer("acme")


def test_a_refusal_lists_the_prices() -> None:
    assert "ainexus_pro_base" in str(PriceInUse("ainexus_pro_base"))
