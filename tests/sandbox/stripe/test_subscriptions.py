"""The life of a subscription, from its first payment to its end."""

import pytest
import stripe

from tests.infra_local.stripe.servers import Running
from tests.infra_local.stripe.shop import DAY_S, HOUR_S, Shop, shop


@pytest.fixture
def store(stripe_: Running) -> Shop:
    return shop(stripe_)


class TestStart:
    def test_is_active_once_its_first_invoice_is_paid(self, store: Shop) -> None:
        customer = store.customer()
        subscription = store.subscribe(customer)
        [invoice] = store.invoices(customer)
        assert subscription.status == "active"
        assert (invoice.status, invoice.billing_reason, invoice.total) == ("paid", "subscription_create", 2_900)
        assert subscription.latest_invoice == invoice.id

    def test_announces_what_happened(self, store: Shop) -> None:
        store.subscribe(store.customer())
        told = [kind for kind in store.local.types() if kind.startswith(("customer.subscription", "invoice"))]
        assert told == [
            "customer.subscription.created",
            "invoice.created",
            "invoice.finalized",
            "invoice.paid",
            "invoice.payment_succeeded",
            "customer.subscription.updated",
        ]

    def test_is_incomplete_without_a_card_and_expires(self, store: Shop) -> None:
        subscription = store.subscribe(store.customer(card=None))
        assert subscription.status == "incomplete"
        store.local.control("clock", {"advance_s": DAY_S})
        assert store.reload(subscription.id).status == "incomplete_expired"

    def test_refuses_when_it_must_be_paid_at_once(self, store: Shop) -> None:
        customer = store.customer(card="pm_card_chargeCustomerFail")
        with pytest.raises(stripe.CardError) as refused:
            store.subscribe(customer, payment_behavior="error_if_incomplete")
        assert refused.value.code == "card_declined"
        assert not store.invoices(customer)


class TestMonth:
    def test_bills_the_usage_of_the_old_period_and_the_base_of_the_new(self, store: Shop) -> None:
        customer = store.customer()
        subscription = store.subscribe(customer)
        store.use(customer, 1_234_567, identifier="acme:tokens_in:1:0")
        store.pass_period(subscription.id, plus_s=DAY_S + HOUR_S)
        [_, invoice] = store.invoices(customer)
        amounts = {line.description: (line.amount, line.quantity) for line in invoice.lines.data}
        assert amounts == {"ainexus pro": (123, 1_234_567), "1 x ainexus pro": (2_900, 1)}
        assert (invoice.status, invoice.total) == ("paid", 3_023)

    def test_takes_usage_until_the_grace_is_over(self, store: Shop) -> None:
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
    def test_ends_its_subscription_and_is_asked_for_nothing_more(self, store: Shop) -> None:
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
    def test_retries_and_then_the_subscription_is_unpaid(self, store: Shop) -> None:
        customer = store.customer()
        subscription = store.subscribe(customer)
        store.local.control("settings", {"decline_payments": -1})
        store.pass_period(subscription.id, plus_s=DAY_S)
        assert store.reload(subscription.id).status == "past_due"
        store.local.control("clock", {"advance_s": 8 * DAY_S})
        assert store.reload(subscription.id).status == "unpaid"
        assert store.local.types().count("invoice.payment_failed") == 4

    def test_is_active_again_when_the_invoice_is_paid(self, store: Shop) -> None:
        customer = store.customer()
        subscription = store.subscribe(customer)
        store.local.control("settings", {"decline_payments": 1})
        store.pass_period(subscription.id, plus_s=DAY_S)
        assert store.reload(subscription.id).status == "past_due"
        store.client.v1.invoices.pay(store.invoices(customer)[1].id)
        assert store.reload(subscription.id).status == "active"
