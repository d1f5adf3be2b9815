"""Payments of invoices: refunds and disputes."""

import pytest
import stripe

from tests.sandbox.stripe.servers import Running
from tests.sandbox.stripe.shop import PlanCatalog, shop


@pytest.fixture
def store(stripe_: Running) -> PlanCatalog:
    return shop(stripe_)


def paid_invoice(store: PlanCatalog) -> stripe.Invoice:
    customer = store.customer()
    store.subscribe(customer)
    return store.invoices(customer)[0]


class TestCreditNote:
    def test_refunds_a_payment_once(self, store: PlanCatalog) -> None:
        invoice = paid_invoice(store)
        v1 = store.client.v1
        refund: stripe.params.CreditNoteCreateParams = {
            "invoice": str(invoice.id),
            "amount": 2_900,
            "refund_amount": 2_900,
            "reason": "duplicate",
        }
        note = v1.credit_notes.create(refund, {"idempotency_key": "once"})
        assert v1.credit_notes.create(refund, {"idempotency_key": "once"}).id == note.id
        assert v1.invoices.retrieve(str(invoice.id)).post_payment_credit_notes_amount == 2_900
        with pytest.raises(stripe.InvalidRequestError):
            v1.credit_notes.create(refund)
        assert [one.id for one in v1.credit_notes.list({"invoice": str(invoice.id)}).data] == [note.id]
        assert store.local.types()[-3:] == ["charge.refunded", "credit_note.created", "invoice.updated"]


class TestDispute:
    def test_names_the_payment_and_no_customer(self, store: PlanCatalog) -> None:
        invoice = paid_invoice(store)
        store.local.control("disputes", {"invoice": invoice.id})
        event = store.local.events()[-1]
        assert event["type"] == "charge.dispute.created"
        assert "customer" not in event["data"]["object"]
        intent = store.client.v1.payment_intents.retrieve(event["data"]["object"]["payment_intent"])
        assert intent.customer == invoice.customer
        assert intent.latest_charge == event["data"]["object"]["charge"]

    def test_refuses_an_unpaid_invoice(self, store: PlanCatalog) -> None:
        customer = store.customer(card="pm_card_chargeCustomerFail")
        store.subscribe(customer)
        assert "error" in store.local.control("disputes", {"invoice": store.invoices(customer)[0].id})


class TestClosedCheckout:
    def test_can_still_be_paid(self, store: PlanCatalog) -> None:
        customer = store.customer(card=None)
        session = store.client.v1.checkout.sessions.create(
            {
                "mode": "subscription",
                "customer": customer,
                "line_items": [{"price": store.pro.base, "quantity": 1}],
                "success_url": "http://localhost:3000/done",
            }
        )
        store.client.v1.checkout.sessions.expire(session.id)
        store.local.control(f"checkouts/{session.id}/pay", {})
        store.local.control(f"checkouts/{session.id}/pay", {})
        found = store.client.v1.subscriptions.list({"customer": customer}).data
        assert [one.status for one in found] == ["active", "active"]
