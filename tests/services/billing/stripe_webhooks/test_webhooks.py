"""Webhooks: what is taken, what is refused, and what they lead to."""

import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.billing.domain.cost import Period
from services.billing.domain.invoice import Invoice
from services.billing.domain.notice import API_VERSION, HANDLED, notice_of
from services.billing.domain.subscription import SubscriptionState
from services.billing.errors import BadSignature, PaymentsUnavailable
from services.billing.gateways.inbox import FakeInbox
from services.billing.gateways.signature import verify
from services.billing.operations.webhooks import handle, receive
from services.billing.table.invoices import find_invoice
from services.billing.table.notices import find_notice, find_tenant
from shared.plans import Plan
from shared.times import epoch
from tests.services.billing.subscriptions import ENDS, STARTED, subscription
from tests.services.billing.worlds import CUSTOMER_ID, TENANT, World

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SECRET = "whsec_test"


def webhook(event_id: str = "evt_1", kind: str = "customer.subscription.updated", **changes: Any) -> dict[str, Any]:  # noqa: ANN401 — any JSON
    """A webhook as Stripe sends it."""
    subject = changes.pop("subject", {"object": "subscription", "id": "sub_1", "customer": CUSTOMER_ID})
    fields = {"id": event_id, "object": "event", "type": kind, "api_version": API_VERSION, "data": {"object": subject}}
    return fields | changes


def signed(body: str, *, at: datetime = NOW, secret: str = SECRET) -> str:
    """The header of Stripe, made by the book."""
    stamp = epoch(at)
    return f"t={stamp},v1={hmac.new(secret.encode(), f'{stamp}.{body}'.encode(), hashlib.sha256).hexdigest()}"


def invoice(status: str = "paid", *, attempts: int = 1, **changes: Any) -> Invoice:  # noqa: ANN401 — any field
    """An invoice at Stripe."""
    fields: dict[str, Any] = {
        "invoice_id": "in_1",
        "number": "A-1",
        "currency": "usd",
        "amount_cents": 2900,
        "period": Period(STARTED, ENDS),
        "created_at": STARTED,
        "hosted_url": None,
        "lines": (),
    }
    return Invoice(status=status, attempts=attempts, **(fields | changes))  # pyright: ignore[reportArgumentType]  # one of the five words


class TestVerify:
    BODY = json.dumps(webhook(name="Zoë"), ensure_ascii=False)

    def test_lets_stripes_own_pass(self) -> None:
        verify(self.BODY, signed(self.BODY), secret=SECRET, now=NOW)

    @pytest.mark.parametrize("seconds", [-299, 299, 300])
    def test_a_stamp_may_be_five_minutes_old(self, seconds: int) -> None:
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
    def test_refuses_every_other(self, body: str, header: str | None) -> None:
        with pytest.raises(BadSignature):
            verify(body, header, secret=SECRET, now=NOW)

    def test_refuses_everything_without_a_secret(self) -> None:
        with pytest.raises(BadSignature):
            verify(self.BODY, signed(self.BODY, secret=""), secret="", now=NOW)


class TestNotice:
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
    def test_of_no_concern_is_ignored(self, payload: dict[str, Any]) -> None:
        assert notice_of(payload) is None

    @pytest.mark.parametrize("kind", sorted(HANDLED))
    def test_of_concern_names_the_customer(self, kind: str) -> None:
        found = notice_of(webhook(kind=kind))
        assert found
        assert (found.type, found.customer_id, found.invoice_id) == (kind, CUSTOMER_ID, None)

    def test_of_an_invoice_names_it_too(self) -> None:
        subject = {"object": "invoice", "id": "in_1", "customer": CUSTOMER_ID}
        found = notice_of(webhook(kind="invoice.paid", subject=subject))
        assert found
        assert (found.customer_id, found.invoice_id) == (CUSTOMER_ID, "in_1")

    def test_of_a_customer_is_its_own(self) -> None:
        found = notice_of(webhook(kind="customer.deleted", subject={"object": "customer", "id": CUSTOMER_ID}))
        assert found
        assert found.customer_id == CUSTOMER_ID


class TestReceive:
    def test_is_kept_and_queued(self) -> None:
        world, inbox = World(), FakeInbox()
        assert receive(world.store, inbox, json.dumps(webhook()), now=NOW)
        assert inbox.event_ids == ["evt_1"]
        notice = find_notice(world.store, "evt_1")
        assert notice
        assert notice.state == "received"

    def test_of_no_concern_leaves_nothing(self) -> None:
        world, inbox = World(), FakeInbox()
        before = dict(world.table.items)
        assert not receive(world.store, inbox, json.dumps(webhook(kind="payout.paid")), now=NOW)
        assert (world.table.items, inbox.event_ids) == (before, [])

    def test_a_duplicate_is_queued_again_until_it_is_done(self) -> None:
        world, inbox = World(), FakeInbox()
        for _ in range(2):
            receive(world.store, inbox, json.dumps(webhook()), now=NOW)
        assert inbox.event_ids == ["evt_1", "evt_1"]
        handle(world.store, world.stripe, "evt_1", now=NOW)
        assert receive(world.store, inbox, json.dumps(webhook()), now=NOW)
        assert inbox.event_ids == ["evt_1", "evt_1"]

    def test_one_that_the_queue_has_lost_is_queued_when_stripe_sends_it_again(self) -> None:
        world, inbox = World(), FakeInbox(is_broken=True)
        with pytest.raises(PaymentsUnavailable):
            receive(world.store, inbox, json.dumps(webhook()), now=NOW)
        inbox.is_broken = False
        receive(world.store, inbox, json.dumps(webhook()), now=NOW)
        assert inbox.event_ids == ["evt_1"]


class TestHandle:
    def receive(self, world: World, payload: dict[str, Any]) -> None:
        receive(world.store, FakeInbox(), json.dumps(payload), now=NOW)
        handle(world.store, world.stripe, payload["id"], now=NOW)

    def test_takes_over_the_subscription_as_it_is_now(self) -> None:
        world = World()
        world.stripe.subscriptions[CUSTOMER_ID] = [subscription()]
        self.receive(world, webhook(kind="customer.subscription.deleted"))
        assert (world.customer.plan, world.customer.status) == (Plan.PRO, "active")
        assert find_tenant(world.store, CUSTOMER_ID) == TENANT

    def test_once_done_it_is_not_handled_again(self) -> None:
        world = World()
        self.receive(world, webhook())
        world.stripe.subscriptions[CUSTOMER_ID] = [subscription()]
        handle(world.store, world.stripe, "evt_1", now=NOW)
        assert world.customer.plan is Plan.FREE

    def test_of_a_customer_that_is_not_ours_changes_nothing(self) -> None:
        world = World()
        world.stripe.tenants["cus_stranger"] = TENANT
        world.stripe.subscriptions["cus_stranger"] = [subscription()]
        self.receive(world, webhook(subject={"object": "subscription", "id": "sub_9", "customer": "cus_stranger"}))
        self.receive(world, webhook("evt_2", subject={"object": "subscription", "id": "s", "customer": "cus_nobody"}))
        assert world.customer.plan is Plan.FREE
        assert [find_tenant(world.store, name) for name in ("cus_stranger", "cus_nobody")] == [None, None]

    def test_of_something_that_was_never_received_changes_nothing(self) -> None:
        world = World()
        world.stripe.subscriptions[CUSTOMER_ID] = [subscription()]
        handle(world.store, world.stripe, "evt_unknown", now=NOW)
        assert world.customer.plan is Plan.FREE

    def test_somebody_quicker_makes_it_read_again(self) -> None:
        world = World()
        world.stripe.subscriptions[CUSTOMER_ID] = [subscription()]
        # The first write is that of whose customer it is; the second that of the subscription.
        interfere = iter([False, True])

        def meanwhile() -> None:
            if next(interfere, False):
                world.stripe.subscriptions[CUSTOMER_ID] = [subscription(SubscriptionState.UNPAID)]
                world.subscribe(subscription(SubscriptionState.UNPAID), now=NOW)

        receive(world.store, FakeInbox(), json.dumps(webhook()), now=NOW)
        world.table.before_write = meanwhile
        handle(world.store, world.stripe, "evt_1", now=NOW)
        assert world.customer.status == "suspended_by_billing"

    def test_an_invoice_is_kept_and_said_once(self) -> None:
        world = World()
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
        kept = find_invoice(world.store, TENANT, "in_1")
        assert kept
        assert (kept.status, kept.rev) == ("paid", 2)

    def test_a_draft_that_is_gone_is_nothing(self) -> None:
        world = World()
        subject = {"object": "invoice", "id": "in_9", "customer": CUSTOMER_ID}
        self.receive(world, webhook(kind="invoice.created", subject=subject))
        assert find_invoice(world.store, TENANT, "in_9") is None
