"""Disputes: they name a payment, and their tenant is found through it."""

import json
from collections.abc import Callable, Generator
from datetime import UTC, datetime
from typing import Any

import pytest

from services.billing.domain.notice import PaymentRef, notice_of
from services.billing.domain.subscription import SubscriptionState
from services.billing.errors import PaymentsUnavailable
from services.billing.gateways.inbox import FakeInbox
from services.billing.operations.webhooks import handle, receive
from services.billing.table.invoices import list_invoices
from services.billing.table.notices import find_notice
from tests.infra_local.stripe.servers import refuse_without_description
from tests.services.billing.stripes import TENANT, Shop, shop
from tests.services.billing.subscriptions import subscription
from tests.services.billing.test_webhooks import webhook
from tests.services.billing.worlds import CUSTOMER_ID, World

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def dispute(**named: object) -> dict[str, Any]:
    """The webhook of a dispute, as far as it matters here."""
    return webhook(kind="charge.dispute.created", subject={"object": "dispute", "id": "du_1", **named})


class TestNotice:
    @pytest.mark.parametrize(
        ("named", "payment"),
        [
            ({"charge": "ch_1", "payment_intent": "pi_1"}, PaymentRef("pi_1", "ch_1")),
            ({"charge": "ch_1", "payment_intent": None}, PaymentRef(None, "ch_1")),
            ({"charge": "ch_1"}, PaymentRef(None, "ch_1")),
            ({"charge": {"id": "ch_1", "object": "charge"}}, PaymentRef(None, "ch_1")),
        ],
    )
    def test_names_the_payment(self, named: dict[str, object], payment: PaymentRef) -> None:
        found = notice_of(dispute(**named))
        assert found
        assert (found.customer_id, found.payment) == (None, payment)

    @pytest.mark.parametrize("named", [{}, {"charge": None}, {"charge": 5, "payment_intent": []}])
    def test_without_a_payment_is_ignored(self, named: dict[str, object]) -> None:
        assert notice_of(dispute(**named)) is None

    def test_of_anything_else_needs_a_customer(self) -> None:
        assert notice_of(webhook(subject={"object": "subscription", "id": "sub_1", "charge": "ch_1"})) is None


class TestHandle:
    @pytest.mark.parametrize("payer", ["pi_1", "ch_1"])
    def test_takes_over_the_subscription_of_who_paid(self, payer: str) -> None:
        world = World()
        world.stripe.payers[payer] = CUSTOMER_ID
        world.stripe.subscriptions[CUSTOMER_ID] = [subscription(SubscriptionState.UNPAID)]
        receive(world.store, FakeInbox(), json.dumps(dispute(charge="ch_1", payment_intent="pi_1")), now=NOW)
        handle(world.store, world.stripe, "evt_1", now=NOW)
        assert world.customer.status == "suspended_by_billing"

    def test_of_an_unknown_payment_changes_nothing_and_is_done(self) -> None:
        world = World()
        receive(world.store, FakeInbox(), json.dumps(dispute(charge="ch_1")), now=NOW)
        handle(world.store, world.stripe, "evt_1", now=NOW)
        notice = find_notice(world.store, "evt_1")
        assert notice
        assert notice.state == "done"

    def test_waits_for_the_end_of_an_outage(self) -> None:
        world = World()
        world.stripe.payers["ch_1"] = CUSTOMER_ID
        world.stripe.failing[CUSTOMER_ID] = PaymentsUnavailable()
        receive(world.store, FakeInbox(), json.dumps(dispute(charge="ch_1")), now=NOW)
        with pytest.raises(PaymentsUnavailable):
            handle(world.store, world.stripe, "evt_1", now=NOW)
        notice = find_notice(world.store, "evt_1")
        assert notice
        assert notice.state == "received"


class TestAtStripe:
    @pytest.fixture
    def at(self) -> Generator[Shop]:
        """A shop with a paying tenant."""
        refuse_without_description()
        with shop() as made:
            made.subscribe()
            yield made

    def test_a_dispute_leads_to_its_tenant(self, at: Shop, log_lines: Callable[[], list[dict[str, Any]]]) -> None:
        [invoice] = list_invoices(at.store, TENANT)
        assert "error" not in at.local.control("disputes", {"invoice": invoice.invoice_id})
        at.hear()
        [line] = [line for line in log_lines() if "Disputes" in line]
        assert (line["tenant_id"], line["Disputes"]) == (TENANT, 1)
