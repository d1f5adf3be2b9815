"""The queues, the schedule and the commands of the billing service."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.billing import wiring
from services.billing.customers.domain.customer import new_customer
from services.billing.customers.domain.period import BillingPeriod
from services.billing.customers.operations import link_customer
from services.billing.customers.table import CustomerTable
from services.billing.errors import PaymentsUnavailable
from services.billing.functions.commands import handler as admin
from services.billing.functions.consumer import handler as consumer
from services.billing.functions.inbox import handler as inbox
from services.billing.functions.sweep import handler as sweep
from services.billing.stripe_webhooks.domain import WebhookEvent
from services.billing.stripe_webhooks.table import ReceivedWebhooks
from services.billing.subscriptions.operations import refresh_subscription
from services.billing.usage_sync.domain import EntryState, HourUsage
from services.billing.usage_sync.operations.booking import ingest_hour
from services.billing.usage_sync.table.entries import SyncLedger
from services.billing.usage_sync.table.usage import UsageTable
from shared.events.envelope import Event, new_event
from shared.events.metering import UsageCorrected, UsageHourClosed, UsageTenantClosed
from shared.meters import Meter
from shared.plans import Plan
from shared.storage.items import Key
from shared.storage.store import Store
from tests.messages import batch
from tests.services.billing.fakes import FakePayments
from tests.services.billing.stripe_subscriptions import STARTED, subscription
from tests.services.billing.tenants import AT, created

HOUR = datetime(2026, 11, 22, 11, tzinfo=UTC)


def closed(**meters: int) -> Event[UsageHourClosed]:
    payload = UsageHourClosed(hour=HOUR, meters={Meter(name): amount for name, amount in meters.items()}, events=3)
    return new_event(payload, event_id="closed", tenant_id="demo-org", subject="2026-11-22T11:00:00Z", seq=1, at=AT)


def corrected(rev: int, **meters: int) -> Event[UsageCorrected]:
    meters_ = {Meter(name): amount for name, amount in meters.items()}
    payload = UsageCorrected(hour=HOUR, rev=rev, meters=meters_, events=1)
    return new_event(payload, event_id="c", tenant_id="demo-org", subject="2026-11-22T11:00:00Z", seq=rev + 1, at=AT)


class TestCreateCustomer:
    def test_creates_a_customer(self, store: Store) -> None:
        assert consumer(batch(created())) == {"batchItemFailures": []}
        assert CustomerTable(store, "demo-org").find() == new_customer(created())
        item = store.get(Key("TENANT#demo-org#BILLING", "CUSTOMER"))
        assert item
        assert (item["tenant_id"], item["plan"], item["billing"]) == ("demo-org", "pro", "manual")

    def test_stores_the_copy_of_the_tenant(self, store: Store) -> None:
        consumer(batch(created()))
        assert wiring.copies().read("demo-org").plan == "pro"
        assert store.get(Key("TENANT#demo-org#BILLING", "COPY#TENANT"))

    def test_ignores_a_duplicate_event(self, store: Store) -> None:
        consumer(batch(created()))
        assert consumer(batch(created(plan=Plan.FREE), created())) == {"batchItemFailures": []}
        assert CustomerTable(store, "demo-org").find() == new_customer(created())

    def test_ignores_an_unknown_field(self, store: Store) -> None:
        assert consumer(batch(created(), extra={"colour": "blue"})) == {"batchItemFailures": []}
        assert CustomerTable(store, "demo-org").find()

    def test_handles_the_rest_of_a_batch_with_a_poison_message(self, store: Store) -> None:
        records = batch(created("demo-org"), created("other-org"), created("third-org"))
        poison = json.loads(records["Records"][1]["body"])
        poison["detail"]["data"]["plan"] = "golden"
        records["Records"][1]["body"] = json.dumps(poison)
        assert consumer(records) == {"batchItemFailures": [{"itemIdentifier": "message-1"}]}
        assert CustomerTable(store, "demo-org").find()
        assert CustomerTable(store, "other-org").find() is None
        assert CustomerTable(store, "third-org").find()


class TestUsage:
    def test_stores_a_closed_hour_without_stripe(self, store: Store) -> None:
        assert consumer(batch(created(), closed(tokens_in=5))) == {"batchItemFailures": []}
        assert UsageTable(store, "demo-org").find_revision(HOUR, 0) == HourUsage(HOUR, 0, {Meter.TOKENS_IN: 5}, 3)

    def test_stores_each_revision_once_in_any_order(self, store: Store) -> None:
        events = (created(), corrected(1, tokens_in=-2), closed(tokens_in=5), closed(tokens_in=5))
        assert consumer(batch(*events)) == {"batchItemFailures": []}
        stored = [UsageTable(store, "demo-org").find_revision(HOUR, rev) for rev in (0, 1, 2)]
        assert [one.meters if one else None for one in stored] == [{Meter.TOKENS_IN: 5}, {Meter.TOKENS_IN: -2}, None]

    def test_publishes_the_end_of_a_tenant_once(self, store: Store) -> None:
        payload = UsageTenantClosed()
        event = new_event(payload, event_id="end", tenant_id="demo-org", subject="demo-org", seq=1, at=AT)
        assert consumer(batch(created(), event, event)) == {"batchItemFailures": []}
        assert store.get(Key("TENANT#demo-org#BILLING#OUTBOX", "OUTBOX#demo-org:usage_synced"))


class TestDuringAnOutage:
    @pytest.fixture
    def stripe(self, store: Store, put_secret: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> str:  # noqa: ARG002 — the service works in it
        """Return the address of an unreachable Stripe."""
        address = "http://127.0.0.1:9"
        monkeypatch.setenv("STRIPE_API_BASE", address)
        put_secret(api_key="sk_test", webhook_secret="whsec_test")
        return address

    def test_creates_the_customer_record_only(self, store: Store, stripe: str) -> None:  # noqa: ARG002 — out of reach
        assert consumer(batch(created())) == {"batchItemFailures": []}
        customer = CustomerTable(store, "demo-org").find()
        assert customer
        assert customer.stripe_customer_id is None

    def test_leaves_a_webhook_to_the_sweep(self, store: Store, stripe: str) -> None:  # noqa: ARG002 — out of reach
        ReceivedWebhooks(store).add(WebhookEvent("evt_1", "invoice.paid", "cus_1", None), now=AT)
        assert inbox({"Records": [{"messageId": "m-1", "body": '{"event_id": "evt_1"}'}]}) == {"batchItemFailures": []}
        stored = ReceivedWebhooks(store).find("evt_1")
        assert stored
        assert stored.state == "received"

    def test_reports_no_dispute_for_another_webhook(
        self,
        store: Store,
        stripe: str,  # noqa: ARG002 — out of reach
        log_lines: Callable[[], list[dict[str, Any]]],
    ) -> None:
        ReceivedWebhooks(store).add(WebhookEvent("evt_1", "invoice.paid", "cus_1", None), now=AT)
        inbox({"Records": [{"messageId": "m-1", "body": '{"event_id": "evt_1"}'}]})
        lines = log_lines()
        assert [line for line in lines if line["message"] == "webhook postponed"]
        assert [line for line in lines if "Disputes" in line] == []

    def test_a_flush_reports_the_outage(self, store: Store, stripe: str) -> None:  # noqa: ARG002 — out of reach
        consumer(batch(created()))
        keep_entry(store)
        response = admin({"command": "flush"})
        assert (response["all_sent"], response["unsent"], response["rejected"]) == (False, 1, 0)
        assert response["reasons"] == [str(PaymentsUnavailable())]

    def test_the_sweep_reports_the_lag(
        self, store: Store, stripe: str, log_lines: Callable[[], list[dict[str, Any]]]
    ) -> None:
        assert stripe
        consumer(batch(created()))
        keep_entry(store)
        log_lines()
        sweep({})
        [line] = [line for line in log_lines() if line["message"] == "swept"]
        assert line["SyncLag"] > 0
        assert (line["usage"], line["SweepFailures"], line["Quarantined"], line["BillingFailing"]) == (0, 1, 0, 0)


def keep_entry(store: Store) -> None:
    """Create a subscribed tenant with a due meter event."""
    stripe = FakePayments(subscriptions={"cus_demo-org": [subscription()]})
    link_customer(store, stripe, "demo-org")
    refresh_subscription(store, stripe, "demo-org", now=STARTED)
    usage = HourUsage(HOUR, 0, {Meter.TOKENS_IN: 5}, 1)
    ingest_hour(store, stripe, "demo-org", usage, now=HOUR + timedelta(hours=2), send_now=False)


class TestCorrections:
    def test_are_left_to_the_sweep(
        self, store: Store, put_secret: Callable[..., None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        consumer(batch(created()))
        keep_entry(store)
        monkeypatch.setenv("STRIPE_API_BASE", "http://127.0.0.1:9")
        put_secret(api_key="sk_test", webhook_secret="whsec_test")
        assert consumer(batch(corrected(1, tokens_in=-2))) == {"batchItemFailures": []}
        period = BillingPeriod(HOUR, HOUR + timedelta(hours=1))
        states = {entry.rev: entry.state for entry in SyncLedger(store, "demo-org").between(period)}
        assert states == {0: EntryState.PENDING, 1: EntryState.PENDING}


class TestInbox:
    def message(self, body: str) -> dict[str, Any]:
        return {"Records": [{"messageId": "m-1", "body": body}]}

    def test_redelivers_a_webhook_that_cannot_be_handled(self, store: Store) -> None:  # noqa: ARG002 — without a key
        response = inbox(self.message('{"event_id": "evt_1"}'))
        assert response == {"batchItemFailures": [{"itemIdentifier": "m-1"}]}

    def test_redelivers_an_invalid_message(self, store: Store) -> None:  # noqa: ARG002 — as above
        assert inbox(self.message("{}")) == {"batchItemFailures": [{"itemIdentifier": "m-1"}]}


class TestWithoutStripe:
    def test_the_sweep_does_nothing(self, store: Store) -> None:  # noqa: ARG002 — without a key
        sweep({})

    def test_the_commands_report_the_missing_key(self, store: Store) -> None:  # noqa: ARG002 — as above
        for command in ("setup", "flush"):
            assert admin({"command": command})["error"] == "DependencyUnavailable"
