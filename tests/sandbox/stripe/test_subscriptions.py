"""The life cycle of a subscription, from its first payment to its end."""

import pytest
import stripe

from tests.sandbox.stripe.servers import Running
from tests.sandbox.stripe.shop import DAY_S, HOUR_S, PlanCatalog, shop


@pytest.fixture
def store(stripe_: Running) -> PlanCatalog:
    return shop(stripe_)


class TestStart:
    def test_is_active_once_its_first_invoice_is_paid(self, store: PlanCatalog) -> None:
        customer = store.customer()
        subscription = store.subscribe(customer)
        [invoice] = store.invoices(customer)
        assert subscription.status == "active"
        assert (invoice.status, invoice.billing_reason, invoice.total) == ("paid", "subscription_create", 2_900)
        assert subscription.latest_invoice == invoice.id

    def test_publishes_its_events(self, store: PlanCatalog) -> None:
        store.subscribe(store.customer())
        event_types = [kind for kind in store.local.types() if kind.startswith(("customer.subscription", "invoice"))]
        assert event_types == [
            "customer.subscription.created",
            "invoice.created",
            "invoice.finalized",
            "invoice.paid",
            "invoice.payment_succeeded",
            "customer.subscription.updated",
        ]

    def test_is_incomplete_without_a_card_and_expires(self, store: PlanCatalog) -> None:
        subscription = store.subscribe(store.customer(card=None))
        assert subscription.status == "incomplete"
        store.local.control("clock", {"advance_s": DAY_S})
        assert store.reload(subscription.id).status == "incomplete_expired"

    def test_is_refused_if_the_required_payment_fails(self, store: PlanCatalog) -> None:
        customer = store.customer(card="pm_card_chargeCustomerFail")
        with pytest.raises(stripe.CardError) as refused:
            store.subscribe(customer, payment_behavior="error_if_incomplete")
        assert refused.value.code == "card_declined"
        assert not store.invoices(customer)


class TestRenewal:
    def test_bills_usage_of_the_old_and_base_price_of_the_new_period(self, store: PlanCatalog) -> None:
        customer = store.customer()
        subscription = store.subscribe(customer)
        store.use(customer, 1_234_567, identifier="acme:tokens_in:1:0")
        store.pass_period(subscription.id, plus_s=DAY_S + HOUR_S)
        [_, invoice] = store.invoices(customer)
        amounts = {line.description: (line.amount, line.quantity) for line in invoice.lines.data}
        assert amounts == {"ainexus pro": (123, 1_234_567), "1 x ainexus pro": (2_900, 1)}
        assert (invoice.status, invoice.total) == ("paid", 3_023)

    def test_accepts_usage_until_the_end_of_the_grace_period(self, store: PlanCatalog) -> None:
        customer = store.customer()
        subscription = store.subscribe(customer)
        start = subscription["items"].data[0].current_period_start
        store.pass_period(subscription.id, plus_s=HOUR_S)
        [_, invoice] = store.invoices(customer)
        assert (invoice.status, invoice.total) == ("draft", 2_900)
        store.use(customer, 1_000_000, identifier="late", at=start)
        assert store.invoices(customer)[1].total == 3_000
        store.local.control("clock", {"advance_s": DAY_S})
        assert [(one.status, one.total) for one in store.invoices(customer)][1] == ("paid", 3_000)


class TestDeletedCustomer:
    def test_ends_its_subscription_and_collection(self, store: PlanCatalog) -> None:
        customer = store.customer()
        subscription = store.subscribe(customer)
        store.pass_period(subscription.id, plus_s=HOUR_S)
        store.client.v1.customers.delete(customer)
        assert store.reload(subscription.id).status == "canceled"
        assert store.client.v1.customers.retrieve(customer).to_dict()["deleted"]
        store.local.control("clock", {"advance_s": 40 * DAY_S})
        assert [one.status for one in store.invoices(customer)] == ["paid", "draft"]
        with pytest.raises(stripe.InvalidRequestError):
            store.subscribe(customer)


class TestDunning:
    def test_ends_with_an_unpaid_subscription_after_all_retries(self, store: PlanCatalog) -> None:
        customer = store.customer()
        subscription = store.subscribe(customer)
        store.local.control("settings", {"decline_payments": -1})
        store.pass_period(subscription.id, plus_s=DAY_S)
        assert store.reload(subscription.id).status == "past_due"
        store.local.control("clock", {"advance_s": 8 * DAY_S})
        assert store.reload(subscription.id).status == "unpaid"
        assert store.local.types().count("invoice.payment_failed") == 4

    def test_ends_when_the_invoice_is_paid(self, store: PlanCatalog) -> None:
        customer = store.customer()
        subscription = store.subscribe(customer)
        store.local.control("settings", {"decline_payments": 1})
        store.pass_period(subscription.id, plus_s=DAY_S)
        assert store.reload(subscription.id).status == "past_due"
        store.client.v1.invoices.pay(store.invoices(customer)[1].id)
        assert store.reload(subscription.id).status == "active"
