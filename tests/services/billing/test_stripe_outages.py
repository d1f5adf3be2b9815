"""The real gateway against a local Stripe that fails, every response judged by Stripe's own description."""

from collections.abc import Callable, Generator
from datetime import datetime, timedelta

import pytest

from services.billing.domain.cost import Period
from services.billing.domain.notice import PaymentRef
from services.billing.domain.price import BilledMeter
from services.billing.domain.usage import HOUR, Entry, EntryState, hour_of
from services.billing.errors import (
    CatalogueMissing,
    KeyNotAccepted,
    NothingDone,
    OutOfTime,
    PaymentsBusy,
    PaymentsUnavailable,
    RefusedByStripe,
    UsageNotAccepted,
)
from services.billing.operations.sweeping import flush_all, sweep_usage
from services.billing.table.entries import entries_between
from shared.deadline import invocation
from shared.storage.due import list_quarantined
from tests.infra_local.stripe.servers import refuse_without_description
from tests.services.billing.stripes import TENANT, Shop, shop
from tests.services.billing.test_outages import Context

NOT_CARRIED_OUT = {
    "401": KeyNotAccepted,
    "403": KeyNotAccepted,
    "other_mode": KeyNotAccepted,
    "429": PaymentsBusy,
    "lock_timeout": PaymentsBusy,
}
UNCERTAIN = ("409", "500", "503", "timeout", "lost_answer")


@pytest.fixture
def at() -> Generator[Shop]:
    """A shop with a paying tenant, some hours later."""
    refuse_without_description()
    with shop() as made:
        made.subscribe()
        made.advance(4 * 3600)
        yield made


def fail(at: Shop, kind: str | None, *, path: str = "/v1/", **more: int) -> None:
    """Let all requests below a path fail; None ends the faults."""
    at.local.control("faults", {"next": [{"kind": kind, "times": -1, "path": path, **more}] if kind else []})


def hour(at: Shop) -> datetime:
    return hour_of(at.now) - 2 * HOUR


def entries(at: Shop) -> list[Entry]:
    return list(entries_between(at.store, TENANT, Period(at.now - timedelta(days=1), at.now + HOUR)))


def counted(at: Shop) -> list[int]:
    return [one["value"] for one in at.local.control("meter_events")["events"]]


def reads(at: Shop) -> dict[str, Callable[[], object]]:
    """Every question that is asked of Stripe."""
    customer_id = str(at.customer.stripe_customer_id)
    start = hour(at)
    return {
        "tenant_of": lambda: at.payments.tenant_of(customer_id),
        "subscriptions_of": lambda: at.payments.subscriptions_of(customer_id),
        "invoice": lambda: at.payments.invoice("in_none"),
        "customer_of_payment": lambda: at.payments.customer_of_payment(PaymentRef("pi_none", None)),
        "sum_of": lambda: at.payments.sum_of(customer_id, BilledMeter.TOKENS_IN, start=start, end=start + HOUR),
        "close_checkouts": lambda: at.payments.close_checkouts(customer_id),
        "catalogue": at.shelf.catalogue,
    }


class TestRead:
    @pytest.mark.parametrize("kind", [*NOT_CARRIED_OUT, *UNCERTAIN])
    def test_that_meets_an_outage_is_never_taken_for_an_answer(self, at: Shop, kind: str) -> None:
        questions = reads(at)
        fail(at, kind)
        for question in questions.values():
            with pytest.raises(NOT_CARRIED_OUT.get(kind, PaymentsUnavailable)):
                question()

    def test_that_is_refused_for_another_reason_is_no_answer_either(self, at: Shop) -> None:
        questions = reads(at)
        fail(at, "400")
        for question in questions.values():
            with pytest.raises(RefusedByStripe):
                question()

    def test_of_what_is_not_there_says_so(self, at: Shop) -> None:
        assert at.payments.tenant_of("cus_none") is None
        assert at.payments.invoice("in_none") is None
        assert at.payments.customer_of_payment(PaymentRef("pi_none", None)) is None


class TestSend:
    @pytest.mark.parametrize("kind", [*NOT_CARRIED_OUT, "404"])
    def test_that_was_certainly_not_carried_out_leaves_the_entry_as_never_sent(self, at: Shop, kind: str) -> None:
        fail(at, kind, path="/v1/billing/meter_events")
        at.use(hour(at), tokens_in=120)
        [entry] = entries(at)
        assert (entry.state, entry.first_sent_at, entry.attempts) == (EntryState.PENDING, None, 1)
        self.recover(at)

    @pytest.mark.parametrize("kind", UNCERTAIN)
    def test_that_may_have_arrived_leaves_the_entry_uncertain(self, at: Shop, kind: str) -> None:
        fail(at, kind, path="/v1/billing/meter_events")
        at.use(hour(at), tokens_in=120)
        [entry] = entries(at)
        assert entry.state is EntryState.SENT
        self.recover(at)

    def test_that_is_refused_for_an_unknown_reason_is_quarantined_after_five_attempts(self, at: Shop) -> None:
        fail(at, "400", path="/v1/billing/meter_events")
        at.use(hour(at), tokens_in=120)
        for minute in range(1, 60):
            sweep_usage(at.store, at.payments, now=at.now + timedelta(minutes=minute))
        [failure] = list_quarantined(at.store)
        assert failure.error["error"] == UsageNotAccepted.__name__
        assert "parameter_invalid" in failure.error["reason"]
        assert [entry.state for entry in entries(at)] == [EntryState.PENDING]

    def test_to_a_meter_that_was_deactivated_waits_until_it_is_back(self, at: Shop) -> None:
        meters = {one.event_name: one.id for one in at.local.client.v1.billing.meters.list().data}
        at.local.client.v1.billing.meters.deactivate(meters["ainexus_tokens_in"])
        at.use(hour(at), tokens_in=120, tokens_out=7)
        states = {entry.meter: entry.state for entry in entries(at)}
        assert states[BilledMeter.TOKENS_IN] is EntryState.PENDING
        _, left = flush_all(at.store, at.payments, now=at.now)
        assert (left.open, left.reasons) == (1, (str(CatalogueMissing()),))
        assert counted(at) == [7]
        at.local.client.v1.billing.meters.reactivate(meters["ainexus_tokens_in"])
        sweep_usage(at.store, at.payments, now=at.now + timedelta(minutes=2))
        assert sorted(counted(at)) == [7, 120]

    def recover(self, at: Shop) -> None:
        """Let Stripe work again, and the sweep come."""
        fail(at, None)
        sweep_usage(at.store, at.payments, now=at.now + timedelta(minutes=2))
        assert counted(at) == [120]
        assert [entry.state for entry in entries(at)] == [EntryState.ACCEPTED]


class TestDeadline:
    def test_a_slow_stripe_is_not_waited_for_past_it(self, at: Shop) -> None:
        fail(at, "slow", delay_ms=6_000)
        with invocation(Context(left_s=2)), pytest.raises(PaymentsUnavailable) as raised:
            at.payments.tenant_of(str(at.customer.stripe_customer_id))
        assert not isinstance(raised.value, NothingDone)

    def test_without_time_nothing_is_sent(self, at: Shop) -> None:
        customer_id = str(at.customer.stripe_customer_id)
        fail(at, "401")
        with invocation(Context(left_s=0)), pytest.raises(OutOfTime):
            at.payments.tenant_of(customer_id)
