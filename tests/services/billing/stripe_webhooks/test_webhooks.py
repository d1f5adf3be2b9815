"""Verification, storage and handling of webhooks."""

import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.billing.customers.domain.period import BillingPeriod
from services.billing.customers.domain.subscription import SubscriptionState
from services.billing.errors import BadSignature, PaymentsUnavailable
from services.billing.invoices.domain import Invoice
from services.billing.invoices.table import InvoiceTable
from services.billing.stripe_webhooks.domain import API_VERSION, HANDLED_TYPES, METER_ERRORS, parse_webhook
from services.billing.stripe_webhooks.gateway import verify
from services.billing.stripe_webhooks.operations import handle, receive
from services.billing.stripe_webhooks.table import ReceivedWebhooks, StripeCustomers
from shared.plans import Plan
from shared.times import epoch
from tests.services.billing.fakes import FakeInbox
from tests.services.billing.stripe_subscriptions import ENDS, STARTED, subscription
from tests.services.billing.world import CUSTOMER_ID, TENANT, BillingWorld

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SECRET = "whsec_test"


def webhook(event_id: str = "evt_1", kind: str = "customer.subscription.updated", **changes: Any) -> dict[str, Any]:  # noqa: ANN401 — any JSON
    """Return a webhook as Stripe sends it."""
    subject = changes.pop("subject", {"object": "subscription", "id": "sub_1", "customer": CUSTOMER_ID})
    fields = {"id": event_id, "object": "event", "type": kind, "api_version": API_VERSION, "data": {"object": subject}}
    return fields | changes


def signed(body: str, *, at: datetime = NOW, secret: str = SECRET) -> str:
    """Return the signature header, calculated as Stripe documents it."""
    stamp = epoch(at)
    return f"t={stamp},v1={hmac.new(secret.encode(), f'{stamp}.{body}'.encode(), hashlib.sha256).hexdigest()}"


def invoice(status: str = "paid", *, attempts: int = 1, **changes: Any) -> Invoice:  # noqa: ANN401 — any field
    """Return an invoice."""
    fields: dict[str, Any] = {
        "invoice_id": "in_1",
        "number": "A-1",
        "currency": "usd",
        "amount_cents": 2900,
        "period": BillingPeriod(STARTED, ENDS),
        "created_at": STARTED,
        "hosted_url": None,
        "lines": (),
    }
    return Invoice(status=status, attempts=attempts, **(fields | changes))  # pyright: ignore[reportArgumentType]  # one of the five words


class TestVerify:
    BODY = json.dumps(webhook(name="Zoë"), ensure_ascii=False)

    def test_accepts_the_signature_of_stripe(self) -> None:
        verify(self.BODY, signed(self.BODY), secret=SECRET, now=NOW)

    @pytest.mark.parametrize("seconds", [-299, 299, 300])
    def test_accepts_a_timestamp_up_to_five_minutes_old(self, seconds: int) -> None:
        at = NOW - timedelta(seconds=abs(seconds))
        verify(self.BODY, signed(self.BODY, at=at), secret=SECRET, now=NOW)

    @pytest.mark.parametrize(
        ("body", "header"),
        [
            (BODY, None),
            (BODY, ""),
            (BODY, "nonsense"),
            (BODY, f"t={epoch(NOW)}"),
            (BODY, f"t={epoch(NOW)},v1="),
            (BODY, f"t={'9' * 40},v1=00"),
            (BODY, signed(BODY).replace("v1=", "v0=")),
            (BODY, signed(BODY, secret="whsec_other")),
            (BODY, signed(BODY, at=NOW - timedelta(seconds=301))),
            (BODY, signed(BODY, at=NOW + timedelta(seconds=61))),
            (BODY, signed(BODY, at=NOW + timedelta(days=1))),
            (BODY + " ", signed(BODY)),
            (BODY.replace("updated", "deleted"), signed(BODY)),
            (BODY, signed(BODY).replace("t=1", "t=2")),
            (BODY, f"t={epoch(NOW)},{signed(BODY, at=NOW - timedelta(hours=1))}"),
        ],
    )
    def test_refuses_every_other_header(self, body: str, header: str | None) -> None:
        with pytest.raises(BadSignature):
            verify(body, header, secret=SECRET, now=NOW)

    def test_refuses_every_header_without_a_secret(self) -> None:
        with pytest.raises(BadSignature):
            verify(self.BODY, signed(self.BODY, secret=""), secret="", now=NOW)


class TestWebhookEvent:
    @pytest.mark.parametrize(
        "payload",
        [
            {},
            webhook(kind="payout.paid"),
            webhook(api_version="2020-08-27"),
            webhook(api_version=None),
            webhook(data=None),
            webhook(subject={"object": "subscription", "id": "sub_1"}),
            webhook(subject={"object": "subscription", "id": "sub_1", "customer": {"id": "cus_1"}}),
        ],
    )
    def test_ignores_irrelevant_webhooks(self, payload: dict[str, Any]) -> None:
        assert parse_webhook(payload) is None

    @pytest.mark.parametrize("kind", sorted(HANDLED_TYPES))
    def test_contains_the_customer(self, kind: str) -> None:
        found = parse_webhook(webhook(kind=kind))
        assert found
        assert (found.type, found.customer_id, found.invoice_id) == (kind, CUSTOMER_ID, None)

    def test_of_an_invoice_contains_the_invoice(self) -> None:
        subject = {"object": "invoice", "id": "in_1", "customer": CUSTOMER_ID}
        found = parse_webhook(webhook(kind="invoice.paid", subject=subject))
        assert found
        assert (found.customer_id, found.invoice_id) == (CUSTOMER_ID, "in_1")

    def test_of_a_customer_contains_the_customer(self) -> None:
        found = parse_webhook(webhook(kind="customer.deleted", subject={"object": "customer", "id": CUSTOMER_ID}))
        assert found
        assert found.customer_id == CUSTOMER_ID


class TestReceive:
    def test_stores_and_queues_a_webhook(self) -> None:
        world, inbox = BillingWorld(), FakeInbox()
        assert receive(world.store, inbox, json.dumps(webhook()), now=NOW)
        assert inbox.event_ids == ["evt_1"]
        stored = ReceivedWebhooks(world.store).find("evt_1")
        assert stored
        assert stored.state == "received"

    def test_stores_no_irrelevant_webhook(self) -> None:
        world, inbox = BillingWorld(), FakeInbox()
        before = dict(world.table.items)
        assert not receive(world.store, inbox, json.dumps(webhook(kind="payout.paid")), now=NOW)
        assert (world.table.items, inbox.event_ids) == (before, [])

    def test_queues_a_duplicate_until_it_is_handled(self) -> None:
        world, inbox = BillingWorld(), FakeInbox()
        for _ in range(2):
            receive(world.store, inbox, json.dumps(webhook()), now=NOW)
        assert inbox.event_ids == ["evt_1", "evt_1"]
        handle(world.store, world.stripe, "evt_1", now=NOW)
        assert receive(world.store, inbox, json.dumps(webhook()), now=NOW)
        assert inbox.event_ids == ["evt_1", "evt_1"]

    def test_queues_a_lost_webhook_if_stripe_sends_it_again(self) -> None:
        world, inbox = BillingWorld(), FakeInbox(is_broken=True)
        with pytest.raises(PaymentsUnavailable):
            receive(world.store, inbox, json.dumps(webhook()), now=NOW)
        inbox.is_broken = False
        receive(world.store, inbox, json.dumps(webhook()), now=NOW)
        assert inbox.event_ids == ["evt_1"]


class TestHandle:
    def receive(self, world: BillingWorld, payload: dict[str, Any]) -> None:
        receive(world.store, FakeInbox(), json.dumps(payload), now=NOW)
        handle(world.store, world.stripe, payload["id"], now=NOW)

    def test_applies_the_current_subscription(self) -> None:
        world = BillingWorld()
        world.stripe.subscriptions[CUSTOMER_ID] = [subscription()]
        self.receive(world, webhook(kind="customer.subscription.deleted"))
        assert (world.customer.plan, world.customer.status) == (Plan.PRO, "active")
        assert StripeCustomers(world.store).find_tenant(CUSTOMER_ID) == TENANT

    def test_handles_a_webhook_once(self) -> None:
        world = BillingWorld()
        self.receive(world, webhook())
        world.stripe.subscriptions[CUSTOMER_ID] = [subscription()]
        handle(world.store, world.stripe, "evt_1", now=NOW)
        assert world.customer.plan is Plan.FREE

    def test_ignores_a_customer_that_is_not_ours(self) -> None:
        world = BillingWorld()
        world.stripe.tenants["cus_stranger"] = TENANT
        world.stripe.subscriptions["cus_stranger"] = [subscription()]
        self.receive(world, webhook(subject={"object": "subscription", "id": "sub_9", "customer": "cus_stranger"}))
        self.receive(world, webhook("evt_2", subject={"object": "subscription", "id": "s", "customer": "cus_nobody"}))
        assert world.customer.plan is Plan.FREE
        customers = StripeCustomers(world.store)
        assert [customers.find_tenant(name) for name in ("cus_stranger", "cus_nobody")] == [None, None]

    def test_ignores_an_event_that_was_never_received(self) -> None:
        world = BillingWorld()
        world.stripe.subscriptions[CUSTOMER_ID] = [subscription()]
        handle(world.store, world.stripe, "evt_unknown", now=NOW)
        assert world.customer.plan is Plan.FREE

    def test_reads_again_after_a_concurrent_change(self) -> None:
        world = BillingWorld()
        world.stripe.subscriptions[CUSTOMER_ID] = [subscription()]
        # The first write stores the customer's tenant, the second the subscription.
        interfere = iter([False, True])

        def meanwhile() -> None:
            if next(interfere, False):
                world.stripe.subscriptions[CUSTOMER_ID] = [subscription(SubscriptionState.UNPAID)]
                world.subscribe(subscription(SubscriptionState.UNPAID), now=NOW)

        receive(world.store, FakeInbox(), json.dumps(webhook()), now=NOW)
        world.table.before_write = meanwhile
        handle(world.store, world.stripe, "evt_1", now=NOW)
        assert world.customer.status == "suspended_by_billing"

    def test_stores_an_invoice_and_publishes_once(self) -> None:
        world = BillingWorld()
        world.stripe.invoices["in_1"] = invoice("open", attempts=1)
        subject = {"object": "invoice", "id": "in_1", "customer": CUSTOMER_ID}
        self.receive(world, webhook("evt_1", "invoice.payment_failed", subject=subject))
        self.receive(world, webhook("evt_2", "invoice.updated", subject=subject))
        world.stripe.invoices["in_1"] = invoice("paid", attempts=2)
        self.receive(world, webhook("evt_3", "invoice.paid", subject=subject))
        self.receive(world, webhook("evt_4", "invoice.paid", subject=subject))
        assert [name for name in world.table.events() if name.startswith("in_1")] == [
            "in_1:payment_failed:1",
            "in_1:paid",
        ]
        stored = InvoiceTable(world.store, TENANT).find("in_1")
        assert stored
        assert (stored.status, stored.rev) == ("paid", 2)

    def test_ignores_a_deleted_draft(self) -> None:
        world = BillingWorld()
        subject = {"object": "invoice", "id": "in_9", "customer": CUSTOMER_ID}
        self.receive(world, webhook(kind="invoice.created", subject=subject))
        assert InvoiceTable(world.store, TENANT).find("in_9") is None

    @pytest.mark.parametrize("related", [{"id": "mtr_1", "type": "billing.meter"}, None])
    def test_reports_meter_errors_once(
        self, related: dict[str, str] | None, log_lines: Callable[[], list[dict[str, Any]]]
    ) -> None:
        world = BillingWorld()
        errors = {"id": "evt_1", "object": "v2.core.event", "type": METER_ERRORS, "related_object": related}
        for _ in range(2):
            self.receive(world, errors)
        assert [line["Drift"] for line in log_lines() if "Drift" in line] == [1]
