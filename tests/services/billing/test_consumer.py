"""The queues, the schedule and the commands of the billing service."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.billing import wiring
from services.billing.consumer import admin, consumer, inbox, sweep
from services.billing.domain.cost import Period
from services.billing.domain.customer import customer_of
from services.billing.domain.notice import Notice
from services.billing.domain.usage import EntryState, HourUsage
from services.billing.errors import PaymentsUnavailable
from services.billing.gateways.fake_payments import FakePayments
from services.billing.operations.customers import link_customer, refresh_subscription
from services.billing.operations.usage import take_in
from services.billing.table.customers import find_customer
from services.billing.table.entries import entries_between
from services.billing.table.notices import add_notice, find_notice
from services.billing.table.usage import find_usage
from shared.events.envelope import Event, happened
from shared.events.metering import UsageCorrected, UsageHourClosed, UsageTenantClosed
from shared.meters import Meter
from shared.plans import Plan
from shared.storage.items import Key
from shared.storage.store import Store
from tests.messages import batch
from tests.services.billing.subscriptions import STARTED, subscription
from tests.services.billing.tenants import AT, created

HOUR = datetime(2026, 11, 22, 11, tzinfo=UTC)


def closed(**meters: int) -> Event[UsageHourClosed]:
    said = UsageHourClosed(hour=HOUR, meters={Meter(name): amount for name, amount in meters.items()}, events=3)
    return happened(said, event_id="closed", tenant_id="demo-org", subject="2026-11-22T11:00:00Z", seq=1, at=AT)


def corrected(rev: int, **meters: int) -> Event[UsageCorrected]:
    meters_ = {Meter(name): amount for name, amount in meters.items()}
    said = UsageCorrected(hour=HOUR, rev=rev, meters=meters_, events=1)
    return happened(said, event_id="c", tenant_id="demo-org", subject="2026-11-22T11:00:00Z", seq=rev + 1, at=AT)


class TestCreateCustomer:
    def test_makes_a_tenant_a_customer(self, store: Store) -> None:
        assert consumer(batch(created())) == {"batchItemFailures": []}
        assert find_customer(store, "demo-org") == customer_of(created())
        item = store.get(Key("TENANT#demo-org#BILLING", "CUSTOMER"))
        assert item
        assert (item["tenant_id"], item["plan"], item["billing"]) == ("demo-org", "pro", "manual")

    def test_keeps_what_decides_about_access(self, store: Store) -> None:
        consumer(batch(created()))
        assert wiring.copies().read("demo-org").plan == "pro"
        assert store.get(Key("TENANT#demo-org#BILLING", "COPY#TENANT"))

    def test_the_same_event_twice_leaves_the_customer_as_it_is(self, store: Store) -> None:
        consumer(batch(created()))
        assert consumer(batch(created(plan=Plan.FREE), created())) == {"batchItemFailures": []}
        assert find_customer(store, "demo-org") == customer_of(created())

    def test_ignores_a_field_that_it_does_not_know(self, store: Store) -> None:
        assert consumer(batch(created(), extra={"colour": "blue"})) == {"batchItemFailures": []}
        assert find_customer(store, "demo-org")

    def test_does_the_rest_of_a_batch_with_a_poison_message(self, store: Store) -> None:
        records = batch(created("demo-org"), created("other-org"), created("third-org"))
        poison = json.loads(records["Records"][1]["body"])
        poison["detail"]["data"]["plan"] = "golden"
        records["Records"][1]["body"] = json.dumps(poison)
        assert consumer(records) == {"batchItemFailures": [{"itemIdentifier": "message-1"}]}
        assert find_customer(store, "demo-org")
        assert find_customer(store, "other-org") is None
        assert find_customer(store, "third-org")


class TestUsage:
    def test_a_closed_hour_is_known_without_any_stripe(self, store: Store) -> None:
        assert consumer(batch(created(), closed(tokens_in=5))) == {"batchItemFailures": []}
        assert find_usage(store, "demo-org", hour=HOUR, rev=0) == HourUsage(HOUR, 0, {Meter.TOKENS_IN: 5}, 3)

    def test_twice_it_is_known_once_and_so_is_a_correction_that_comes_first(self, store: Store) -> None:
        events = (created(), corrected(1, tokens_in=-2), closed(tokens_in=5), closed(tokens_in=5))
        assert consumer(batch(*events)) == {"batchItemFailures": []}
        kept = [find_usage(store, "demo-org", hour=HOUR, rev=rev) for rev in (0, 1, 2)]
        assert [one.meters if one else None for one in kept] == [{Meter.TOKENS_IN: 5}, {Meter.TOKENS_IN: -2}, None]

    def test_the_end_of_a_tenant_is_said_once(self, store: Store) -> None:
        said = UsageTenantClosed()
        event = happened(said, event_id="end", tenant_id="demo-org", subject="demo-org", seq=1, at=AT)
        assert consumer(batch(created(), event, event)) == {"batchItemFailures": []}
        assert store.get(Key("TENANT#demo-org#BILLING#OUTBOX", "OUTBOX#demo-org:usage_synced"))


class TestDuringAnOutage:
    @pytest.fixture
    def stripe(self, store: Store, put_secret: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> str:  # noqa: ARG002 — the service works in it
        """A Stripe that cannot be reached."""
        address = "http://127.0.0.1:9"
        monkeypatch.setenv("STRIPE_API_BASE", address)
        put_secret(api_key="sk_test", webhook_secret="whsec_test")
        return address

    def test_a_new_tenant_is_a_customer_here(self, store: Store, stripe: str) -> None:  # noqa: ARG002 — out of reach
        assert consumer(batch(created())) == {"batchItemFailures": []}
        customer = find_customer(store, "demo-org")
        assert customer
        assert customer.stripe_customer_id is None

    def test_a_webhook_is_left_to_the_sweep(self, store: Store, stripe: str) -> None:  # noqa: ARG002 — out of reach
        add_notice(store, Notice("evt_1", "invoice.paid", "cus_1", None), now=AT)
        assert inbox({"Records": [{"messageId": "m-1", "body": '{"event_id": "evt_1"}'}]}) == {"batchItemFailures": []}
        notice = find_notice(store, "evt_1")
        assert notice
        assert notice.state == "received"

    def test_a_flush_says_so(self, store: Store, stripe: str) -> None:  # noqa: ARG002 — out of reach
        consumer(batch(created()))
        keep_entry(store)
        answer = admin({"command": "flush"})
        assert (answer["all_sent"], answer["unsent"], answer["rejected"]) == (False, 1, 0)
        assert answer["reasons"] == [str(PaymentsUnavailable())]

    def test_the_sweep_shows_the_lag(
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
    """Let the tenant have a subscription, and a meter event that is due."""
    stripe = FakePayments(subscriptions={"cus_demo-org": [subscription()]})
    link_customer(store, stripe, "demo-org")
    refresh_subscription(store, stripe, "demo-org", now=STARTED)
    usage = HourUsage(HOUR, 0, {Meter.TOKENS_IN: 5}, 1)
    take_in(store, stripe, "demo-org", usage, now=HOUR + timedelta(hours=2), send_now=False)


class TestCorrections:
    def test_are_left_to_the_sweep(
        self, store: Store, put_secret: Callable[..., None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        consumer(batch(created()))
        keep_entry(store)
        monkeypatch.setenv("STRIPE_API_BASE", "http://127.0.0.1:9")
        put_secret(api_key="sk_test", webhook_secret="whsec_test")
        assert consumer(batch(corrected(1, tokens_in=-2))) == {"batchItemFailures": []}
        period = Period(HOUR, HOUR + timedelta(hours=1))
        states = {entry.rev: entry.state for entry in entries_between(store, "demo-org", period)}
        assert states == {0: EntryState.PENDING, 1: EntryState.PENDING}


class TestInbox:
    def message(self, body: str) -> dict[str, Any]:
        return {"Records": [{"messageId": "m-1", "body": body}]}

    def test_a_webhook_comes_again_while_it_cannot_be_handled(self, store: Store) -> None:  # noqa: ARG002 — without a key
        answer = inbox(self.message('{"event_id": "evt_1"}'))
        assert answer == {"batchItemFailures": [{"itemIdentifier": "m-1"}]}

    def test_so_does_what_is_no_message(self, store: Store) -> None:  # noqa: ARG002 — as above
        assert inbox(self.message("{}")) == {"batchItemFailures": [{"itemIdentifier": "m-1"}]}


class TestWithoutStripe:
    def test_the_sweep_has_nothing_to_do(self, store: Store) -> None:  # noqa: ARG002 — without a key
        sweep({})

    def test_the_commands_say_so(self, store: Store) -> None:  # noqa: ARG002 — as above
        for command in ("setup", "flush"):
            assert admin({"command": command})["error"] == "DependencyUnavailable"
