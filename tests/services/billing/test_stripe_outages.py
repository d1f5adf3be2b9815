"""The Stripe gateway against a failing local Stripe, with every response validated by Stripe's API description."""

from collections.abc import Callable, Generator
from datetime import datetime, timedelta

import pytest

from services.billing.catalog.domain import BilledMeter
from services.billing.customers.domain.period import BillingPeriod
from services.billing.errors import (
    ApiKeyRejected,
    CatalogMissing,
    NotEnoughTime,
    PaymentsBusy,
    PaymentsUnavailable,
    RejectedByStripe,
    RequestNotExecuted,
    UsageNotAccepted,
)
from services.billing.stripe_webhooks.domain import PaymentRef
from services.billing.usage_sync.domain import HOUR, EntryState, SyncEntry, hour_of
from services.billing.usage_sync.operations.sweeping import flush_all, sweep_usage
from services.billing.usage_sync.table.entries import SyncLedger
from shared.deadline import invocation
from shared.storage.quarantine import list_quarantined
from tests.sandbox.stripe.servers import refuse_without_description
from tests.services.billing.local_stripe import TENANT, StripeWorld, stripe_world
from tests.services.billing.usage_sync.test_outages import Context

NOT_CARRIED_OUT = {
    "401": ApiKeyRejected,
    "403": ApiKeyRejected,
    "other_mode": ApiKeyRejected,
    "429": PaymentsBusy,
    "lock_timeout": PaymentsBusy,
}
UNCERTAIN = ("409", "500", "503", "timeout", "lost_answer")


@pytest.fixture
def at() -> Generator[StripeWorld]:
    """Yield a tenant some hours after it subscribed."""
    refuse_without_description()
    with stripe_world() as world:
        world.subscribe()
        world.advance(4 * 3600)
        yield world


def fail(at: StripeWorld, kind: str | None, *, path: str = "/v1/", **more: int) -> None:
    """Make all requests below a path fail; None ends the faults."""
    at.local.control("faults", {"next": [{"kind": kind, "times": -1, "path": path, **more}] if kind else []})


def hour(at: StripeWorld) -> datetime:
    return hour_of(at.now) - 2 * HOUR


def entries(at: StripeWorld) -> list[SyncEntry]:
    return list(SyncLedger(at.store, TENANT).between(BillingPeriod(at.now - timedelta(days=1), at.now + HOUR)))


def counted(at: StripeWorld) -> list[int]:
    return [one["value"] for one in at.local.control("meter_events")["events"]]


def reads(at: StripeWorld) -> dict[str, Callable[[], object]]:
    """Return every read request of the gateway."""
    customer_id = str(at.customer.stripe_customer_id)
    start = hour(at)
    return {
        "tenant_of": lambda: at.gateway.tenant_of(customer_id),
        "subscriptions_of": lambda: at.gateway.subscriptions_of(customer_id),
        "invoice": lambda: at.gateway.read_invoice("in_none"),
        "customer_of_payment": lambda: at.gateway.customer_of_payment(PaymentRef("pi_none", None)),
        "sum_of": lambda: at.gateway.sum_of(customer_id, BilledMeter.TOKENS_IN, start=start, end=start + HOUR),
        "close_checkouts": lambda: at.gateway.close_checkouts(customer_id),
        "catalog": at.catalog.catalog,
    }


class TestRead:
    @pytest.mark.parametrize("kind", [*NOT_CARRIED_OUT, *UNCERTAIN])
    def test_during_an_outage_raises(self, at: StripeWorld, kind: str) -> None:
        questions = reads(at)
        fail(at, kind)
        for question in questions.values():
            with pytest.raises(NOT_CARRIED_OUT.get(kind, PaymentsUnavailable)):
                question()

    def test_rejected_for_another_reason_raises(self, at: StripeWorld) -> None:
        questions = reads(at)
        fail(at, "400")
        for question in questions.values():
            with pytest.raises(RejectedByStripe):
                question()

    def test_of_a_missing_object_returns_none(self, at: StripeWorld) -> None:
        assert at.gateway.tenant_of("cus_none") is None
        assert at.gateway.read_invoice("in_none") is None
        assert at.gateway.customer_of_payment(PaymentRef("pi_none", None)) is None


class TestSend:
    @pytest.mark.parametrize("kind", [*NOT_CARRIED_OUT, "404"])
    def test_that_was_not_executed_leaves_the_entry_unsent(self, at: StripeWorld, kind: str) -> None:
        fail(at, kind, path="/v1/billing/meter_events")
        at.close_hour(hour(at), tokens_in=120)
        [entry] = entries(at)
        assert (entry.state, entry.first_sent_at, entry.attempts) == (EntryState.PENDING, None, 1)
        self.recover(at)

    @pytest.mark.parametrize("kind", UNCERTAIN)
    def test_that_may_have_arrived_leaves_the_entry_uncertain(self, at: StripeWorld, kind: str) -> None:
        fail(at, kind, path="/v1/billing/meter_events")
        at.close_hour(hour(at), tokens_in=120)
        [entry] = entries(at)
        assert entry.state is EntryState.SENT
        self.recover(at)

    def test_rejected_for_an_unknown_reason_is_quarantined_after_five_attempts(self, at: StripeWorld) -> None:
        fail(at, "400", path="/v1/billing/meter_events")
        at.close_hour(hour(at), tokens_in=120)
        for minute in range(1, 60):
            sweep_usage(at.store, at.gateway, now=at.now + timedelta(minutes=minute))
        [failure] = list_quarantined(at.store)
        assert failure.error["error"] == UsageNotAccepted.__name__
        assert "parameter_invalid" in failure.error["reason"]
        assert [entry.state for entry in entries(at)] == [EntryState.PENDING]

    def test_to_a_deactivated_meter_waits_until_it_is_active(self, at: StripeWorld) -> None:
        meters = {one.event_name: one.id for one in at.local.client.v1.billing.meters.list().data}
        at.local.client.v1.billing.meters.deactivate(meters["ainexus_tokens_in"])
        at.close_hour(hour(at), tokens_in=120, tokens_out=7)
        states = {entry.meter: entry.state for entry in entries(at)}
        assert states[BilledMeter.TOKENS_IN] is EntryState.PENDING
        _, left = flush_all(at.store, at.gateway, now=at.now)
        assert (left.open, left.reasons) == (1, (str(CatalogMissing()),))
        assert counted(at) == [7]
        at.local.client.v1.billing.meters.reactivate(meters["ainexus_tokens_in"])
        sweep_usage(at.store, at.gateway, now=at.now + timedelta(minutes=2))
        assert sorted(counted(at)) == [7, 120]

    def recover(self, at: StripeWorld) -> None:
        """End the outage and run the sweep."""
        fail(at, None)
        sweep_usage(at.store, at.gateway, now=at.now + timedelta(minutes=2))
        assert counted(at) == [120]
        assert [entry.state for entry in entries(at)] == [EntryState.ACCEPTED]


class TestDeadline:
    def test_ends_a_slow_request(self, at: StripeWorld) -> None:
        fail(at, "slow", delay_ms=6_000)
        with invocation(Context(left_s=2)), pytest.raises(PaymentsUnavailable) as raised:
            at.gateway.tenant_of(str(at.customer.stripe_customer_id))
        assert not isinstance(raised.value, RequestNotExecuted)

    def test_sends_nothing_without_time(self, at: StripeWorld) -> None:
        customer_id = str(at.customer.stripe_customer_id)
        fail(at, "401")
        with invocation(Context(left_s=0)), pytest.raises(NotEnoughTime):
            at.gateway.tenant_of(customer_id)
