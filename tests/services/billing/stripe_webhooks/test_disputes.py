"""Webhooks of disputes, whose tenant is found through the payment."""

import json
from collections.abc import Callable, Generator
from datetime import UTC, datetime
from typing import Any

import pytest

from services.billing.customers.domain.subscription import SubscriptionState
from services.billing.errors import PaymentsUnavailable
from services.billing.invoices.table import InvoiceTable
from services.billing.stripe_webhooks.domain import PaymentRef, parse_webhook
from services.billing.stripe_webhooks.operations import handle, receive
from services.billing.stripe_webhooks.table import ReceivedWebhooks
from tests.sandbox.stripe.servers import refuse_without_description
from tests.services.billing.fakes import FakeInbox
from tests.services.billing.local_stripe import TENANT, StripeWorld, stripe_world
from tests.services.billing.stripe_subscriptions import subscription
from tests.services.billing.stripe_webhooks.test_webhooks import webhook
from tests.services.billing.world import CUSTOMER_ID, BillingWorld

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def dispute(**named: object) -> dict[str, Any]:
    """Return the relevant part of a dispute's webhook."""
    return webhook(kind="charge.dispute.created", subject={"object": "dispute", "id": "du_1", **named})


class TestWebhookEvent:
    @pytest.mark.parametrize(
        ("named", "payment"),
        [
            ({"charge": "ch_1", "payment_intent": "pi_1"}, PaymentRef("pi_1", "ch_1")),
            ({"charge": "ch_1", "payment_intent": None}, PaymentRef(None, "ch_1")),
            ({"charge": "ch_1"}, PaymentRef(None, "ch_1")),
            ({"charge": {"id": "ch_1", "object": "charge"}}, PaymentRef(None, "ch_1")),
        ],
    )
    def test_contains_the_payment(self, named: dict[str, object], payment: PaymentRef) -> None:
        found = parse_webhook(dispute(**named))
        assert found
        assert (found.customer_id, found.payment) == (None, payment)

    @pytest.mark.parametrize("named", [{}, {"charge": None}, {"charge": 5, "payment_intent": []}])
    def test_without_a_payment_is_ignored(self, named: dict[str, object]) -> None:
        assert parse_webhook(dispute(**named)) is None

    def test_of_another_type_needs_a_customer(self) -> None:
        assert parse_webhook(webhook(subject={"object": "subscription", "id": "sub_1", "charge": "ch_1"})) is None


class TestHandle:
    @pytest.mark.parametrize("payment_id", ["pi_1", "ch_1"])
    def test_updates_the_subscription_of_the_paying_customer(self, payment_id: str) -> None:
        world = BillingWorld()
        world.stripe.payment_customers[payment_id] = CUSTOMER_ID
        world.stripe.subscriptions[CUSTOMER_ID] = [subscription(SubscriptionState.UNPAID)]
        receive(world.store, FakeInbox(), json.dumps(dispute(charge="ch_1", payment_intent="pi_1")), now=NOW)
        handle(world.store, world.stripe, "evt_1", now=NOW)
        assert world.customer.status == "suspended_by_billing"

    def test_an_unknown_payment_changes_nothing_and_is_done(self) -> None:
        world = BillingWorld()
        receive(world.store, FakeInbox(), json.dumps(dispute(charge="ch_1")), now=NOW)
        handle(world.store, world.stripe, "evt_1", now=NOW)
        stored = ReceivedWebhooks(world.store).find("evt_1")
        assert stored
        assert stored.state == "done"

    def test_is_postponed_during_an_outage(self) -> None:
        world = BillingWorld()
        world.stripe.payment_customers["ch_1"] = CUSTOMER_ID
        world.stripe.failing[CUSTOMER_ID] = PaymentsUnavailable()
        receive(world.store, FakeInbox(), json.dumps(dispute(charge="ch_1")), now=NOW)
        with pytest.raises(PaymentsUnavailable):
            handle(world.store, world.stripe, "evt_1", now=NOW)
        stored = ReceivedWebhooks(world.store).find("evt_1")
        assert stored
        assert stored.state == "received"

    def test_is_reported_once_despite_earlier_failures(self, log_lines: Callable[[], list[dict[str, Any]]]) -> None:
        world = BillingWorld()
        world.stripe.payment_customers["ch_1"] = CUSTOMER_ID
        world.stripe.subscriptions[CUSTOMER_ID] = [subscription(SubscriptionState.UNPAID)]
        world.stripe.failing[CUSTOMER_ID] = PaymentsUnavailable()
        receive(world.store, FakeInbox(), json.dumps(dispute(charge="ch_1")), now=NOW)
        with pytest.raises(PaymentsUnavailable):
            handle(world.store, world.stripe, "evt_1", now=NOW)
        del world.stripe.failing[CUSTOMER_ID]
        handle(world.store, world.stripe, "evt_1", now=NOW)
        assert [line["Disputes"] for line in log_lines() if "Disputes" in line] == [1]

    def test_is_reported_by_one_of_two_concurrent_deliveries(
        self, log_lines: Callable[[], list[dict[str, Any]]]
    ) -> None:
        world = BillingWorld()
        world.stripe.payment_customers["ch_1"] = CUSTOMER_ID
        receive(world.store, FakeInbox(), json.dumps(dispute(charge="ch_1")), now=NOW)
        writes = iter([True])

        def meanwhile() -> None:
            if next(writes, False):
                handle(world.store, world.stripe, "evt_1", now=NOW)

        world.table.before_write = meanwhile
        handle(world.store, world.stripe, "evt_1", now=NOW)
        assert [line["Disputes"] for line in log_lines() if "Disputes" in line] == [1]


class TestAtStripe:
    @pytest.fixture
    def at(self) -> Generator[StripeWorld]:
        """Yield a tenant with a subscription at the local Stripe."""
        refuse_without_description()
        with stripe_world() as world:
            world.subscribe()
            yield world

    def test_a_dispute_is_reported_with_its_tenant(
        self, at: StripeWorld, log_lines: Callable[[], list[dict[str, Any]]]
    ) -> None:
        [invoice] = InvoiceTable(at.store, TENANT).newest_first()
        assert "error" not in at.local.control("disputes", {"invoice": invoice.invoice_id})
        at.handle_webhooks()
        [line] = [line for line in log_lines() if "Disputes" in line]
        assert (line["tenant_id"], line["Disputes"]) == (TENANT, 1)
