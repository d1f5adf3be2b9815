"""Outages of Stripe: usage stays due, is sent later, and is counted once."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.billing.catalog.domain import BilledMeter
from services.billing.errors import (
    ApiKeyRejected,
    CatalogMissing,
    NotEnoughTime,
    PaymentsBusy,
    PaymentsUnavailable,
    RejectedByStripe,
    UsageNotAccepted,
)
from services.billing.stripe_api.domain import MAX_CONSECUTIVE_TENANTS, Circuit
from services.billing.usage_sync.domain import HOUR, EntryState, SyncEntry
from services.billing.usage_sync.operations.booking import flush
from services.billing.usage_sync.operations.sweeping import flush_all, sweep_usage
from shared.deadline import MARGIN_S, invocation
from shared.storage.quarantine import MAX_FAILURES, list_quarantined, release
from tests.services.billing.usage_sync.test_sync import fails
from tests.services.billing.world import TENANT, BillingWorld

FIRST = datetime(2026, 11, 22, 11, tzinfo=UTC)
CLOSED = FIRST + HOUR + timedelta(minutes=10)
MINUTE = timedelta(minutes=1)
IN, OUT = "demo-org:tokens_in:2026-11-22T11:0", "demo-org:tokens_out:2026-11-22T11:0"
OTHERS = ("acme", "beta", "gamma", "delta", "epsilon")


class Context:
    """The context of an invocation that has `left_s` seconds left besides the margin."""

    def __init__(self, left_s: int) -> None:
        self._left_s = left_s

    def get_remaining_time_in_millis(self) -> int:
        return int((self._left_s + MARGIN_S) * 1000)


@pytest.fixture
def world() -> BillingWorld:
    """Return a subscribed tenant."""
    world = BillingWorld()
    world.subscribe()
    return world


def fail_with(world: BillingWorld, error: Exception | None) -> None:
    """Make Stripe fail; None ends the outage."""
    world.stripe.before_send = fails(*[error] * 10_000) if error else fails()


def sweep_for(world: BillingWorld, minutes: range) -> None:
    for minute in minutes:
        sweep_usage(world.store, world.stripe, now=CLOSED + minute * MINUTE)


class TestApiKeyRejected:
    @pytest.mark.parametrize("error", [ApiKeyRejected(), CatalogMissing(), PaymentsBusy()])
    def test_usage_stays_due_unsent_and_is_sent_afterwards(self, world: BillingWorld, error: Exception) -> None:
        fail_with(world, error)
        world.close_hour(FIRST, now=CLOSED, tokens_in=120, tokens_out=7)
        sweep_for(world, range(1, 90))
        assert set(world.states().values()) == {EntryState.PENDING}
        assert {entry.first_sent_at for entry in world.ledger()} == {None}
        fail_with(world, None)
        sweep_for(world, range(90, 120))
        assert world.counted() == {IN: 120, OUT: 7}
        assert set(world.states().values()) == {EntryState.ACCEPTED}

    def test_days_of_it_lose_nothing_and_need_no_search_in_sums(self, world: BillingWorld) -> None:
        fail_with(world, ApiKeyRejected())
        world.close_hour(FIRST, now=CLOSED, tokens_in=120)
        for hours in range(1, 49):
            sweep_usage(world.store, world.stripe, now=CLOSED + timedelta(hours=hours))
        fail_with(world, None)
        sweep_usage(world.store, world.stripe, now=CLOSED + timedelta(hours=49))
        assert world.counted() == {IN: 120}

    def test_stripe_is_called_once_a_minute_for_all_tenants(self, world: BillingWorld) -> None:
        world.add_tenants(*OTHERS)
        fail_with(world, PaymentsUnavailable())
        for tenant in (TENANT, *OTHERS):
            world.close_hour_of(tenant, FIRST, now=CLOSED, tokens_in=1, tokens_out=1)
        tries: list[str] = []

        def refuse(entry: SyncEntry) -> None:
            tries.append(entry.identifier)
            raise ApiKeyRejected

        world.stripe.before_send = refuse
        sweep_usage(world.store, world.stripe, now=CLOSED + MINUTE)
        assert len(tries) == 1

    def test_a_lost_response_stays_uncertain_if_the_key_fails_next(self, world: BillingWorld) -> None:
        world.stripe.after_send = fails(PaymentsUnavailable())
        world.close_hour(FIRST, now=CLOSED, tokens_in=120)
        fail_with(world, ApiKeyRejected())
        sweep_for(world, range(1, 5))
        [entry] = world.ledger()
        assert (entry.state, entry.first_sent_at) == (EntryState.SENT, CLOSED)
        fail_with(world, AssertionError("Stripe's sum has it already"))
        sweep_usage(world.store, world.stripe, now=CLOSED + timedelta(hours=30))
        assert (world.counted(), world.states()) == ({IN: 120}, {IN: EntryState.ACCEPTED})


class TestFlush:
    @pytest.mark.parametrize("error", [ApiKeyRejected(), CatalogMissing(), PaymentsUnavailable(), PaymentsBusy()])
    def test_reports_unsent_usage_with_the_reason(self, world: BillingWorld, error: Exception) -> None:
        fail_with(world, error)
        world.close_hour(FIRST, now=CLOSED, tokens_in=120, tokens_out=7)
        left = flush(world.store, world.stripe, TENANT, now=CLOSED + MINUTE)
        assert (left.all_sent, left.open, left.rejected) == (False, 2, 0)
        assert str(error) in left.reasons
        _, of_all = flush_all(world.store, world.stripe, now=CLOSED + MINUTE)
        assert (of_all.all_sent, of_all.open, of_all.reasons) == (False, 2, (str(error),))

    def test_reports_rejected_usage_with_the_reason(self, world: BillingWorld) -> None:
        world.stripe.before_send = fails(RejectedByStripe("timestamp_too_far_in_past"))
        world.close_hour(FIRST, now=CLOSED, tokens_in=120, tokens_out=7)
        left = flush(world.store, world.stripe, TENANT, now=CLOSED + MINUTE)
        assert (left.all_sent, left.open, left.rejected) == (False, 0, 1)
        assert left.reasons == ("timestamp_too_far_in_past",)
        _, of_all = flush_all(world.store, world.stripe, now=CLOSED + MINUTE)
        assert (of_all.all_sent, of_all.rejected) == (False, 1)

    def test_reports_quarantined_entries(self, world: BillingWorld) -> None:
        fail_with(world, UsageNotAccepted("parameter_unknown"))
        world.close_hour(FIRST, now=CLOSED, tokens_in=120)
        sweep_for(world, range(1, 60))
        _, of_all = flush_all(world.store, world.stripe, now=CLOSED + timedelta(hours=1))
        assert (of_all.all_sent, of_all.open) == (False, 1)
        assert "ainexus quarantine list" in of_all.reasons[0]

    def test_of_all_tenants_includes_entries_that_wait_for_a_retry(self, world: BillingWorld) -> None:
        world.add_tenants(*OTHERS)
        fail_with(world, PaymentsUnavailable())
        for tenant in OTHERS:
            world.close_hour_of(tenant, FIRST, now=CLOSED, tokens_in=1)
        fail_with(world, None)
        _, left = flush_all(world.store, world.stripe, now=CLOSED)
        assert left.all_sent
        assert len(world.counted()) == len(OTHERS)

    def test_finds_usage_that_could_not_be_sent_for_more_than_34_days(self, world: BillingWorld) -> None:
        fail_with(world, ApiKeyRejected())
        world.close_hour(FIRST, now=CLOSED, tokens_in=120)
        assert flush(world.store, world.stripe, TENANT, now=CLOSED + timedelta(days=40)).open == 1
        fail_with(world, None)
        assert flush(world.store, world.stripe, TENANT, now=CLOSED + timedelta(days=40)).all_sent
        [(_, entry)] = world.stripe.meter_events.values()
        assert (entry.carried, entry.quantity) == (True, 120)

    def test_without_time_sends_nothing_and_reports_it(self, world: BillingWorld) -> None:
        fail_with(world, PaymentsUnavailable())
        world.close_hour(FIRST, now=CLOSED, tokens_in=120)
        fail_with(world, AssertionError("there is no time for it"))
        with invocation(Context(left_s=1)):
            left = flush(world.store, world.stripe, TENANT, now=CLOSED + MINUTE)
        assert (left.all_sent, str(NotEnoughTime()) in left.reasons) == (False, True)


class TestSweep:
    def test_continues_after_an_entry_that_fails(self, world: BillingWorld) -> None:
        world.add_tenants(*OTHERS)
        fail_with(world, ApiKeyRejected())
        for tenant in (TENANT, *OTHERS):
            world.close_hour_of(tenant, FIRST, now=CLOSED, tokens_in=1)

        def poison(entry: SyncEntry) -> None:
            if entry.tenant_id == TENANT:
                raise UsageNotAccepted("parameter_unknown")  # noqa: EM101 — as Stripe answers

        world.stripe.before_send = poison
        result = sweep_usage(world.store, world.stripe, now=CLOSED + MINUTE)
        assert (result.swept.handled, result.swept.failed) == (len(OTHERS), 1)
        assert world.states() == {IN: EntryState.PENDING}
        assert {state for one in OTHERS for state in world.states(one).values()} == {EntryState.ACCEPTED}

    def test_continues_after_a_tenant_that_is_locked_at_stripe(self, world: BillingWorld) -> None:
        world.add_tenants(*OTHERS)
        fail_with(world, PaymentsUnavailable())
        for tenant in (TENANT, *OTHERS):
            world.close_hour_of(tenant, FIRST, now=CLOSED, tokens_in=1)

        def locked(entry: SyncEntry) -> None:
            if entry.tenant_id == TENANT:
                raise PaymentsBusy

        world.stripe.before_send = locked
        sweep_usage(world.store, world.stripe, now=CLOSED + MINUTE)
        assert len(world.counted()) == len(OTHERS)

    def test_continues_after_a_missing_meter(self, world: BillingWorld) -> None:
        world.add_tenants(*OTHERS)
        fail_with(world, PaymentsUnavailable())
        for tenant in (TENANT, *OTHERS):
            world.close_hour_of(tenant, FIRST, now=CLOSED, tokens_in=1, tokens_out=1)
        tries: list[str] = []

        def missing(entry: SyncEntry) -> None:
            tries.append(entry.meter)
            if entry.meter is BilledMeter.TOKENS_IN:
                raise CatalogMissing

        world.stripe.before_send = missing
        sweep_usage(world.store, world.stripe, now=CLOSED + MINUTE)
        assert tries.count("tokens_in") == 1
        assert len(world.counted()) == len(OTHERS) + 1

    def test_quarantines_an_entry_after_five_rejections_until_it_is_released(self, world: BillingWorld) -> None:
        fail_with(world, UsageNotAccepted("parameter_unknown"))
        world.close_hour(FIRST, now=CLOSED, tokens_in=120)
        sweep_for(world, range(1, 60))
        [failure] = list_quarantined(world.store)
        assert (failure.tenant_id, failure.failures) == (TENANT, MAX_FAILURES)
        assert world.states() == {IN: EntryState.PENDING}
        fail_with(world, None)
        sweep_for(world, range(60, 62))
        assert world.counted() == {}
        release(world.store, failure.failure_id, now=CLOSED + timedelta(minutes=62))
        sweep_for(world, range(62, 64))
        assert world.counted() == {IN: 120}

    def test_never_quarantines_during_an_outage(self, world: BillingWorld) -> None:
        fail_with(world, PaymentsUnavailable())
        world.close_hour(FIRST, now=CLOSED, tokens_in=120)
        sweep_for(world, range(1, 200))
        assert list_quarantined(world.store) == []

    def test_removes_a_released_entry_that_was_sent_meanwhile(self, world: BillingWorld) -> None:
        fail_with(world, UsageNotAccepted("parameter_unknown"))
        world.close_hour(FIRST, now=CLOSED, tokens_in=120)
        sweep_for(world, range(1, 60))
        [failure] = list_quarantined(world.store)
        fail_with(world, None)
        assert flush(world.store, world.stripe, TENANT, now=CLOSED + timedelta(hours=1)).all_sent
        release(world.store, failure.failure_id, now=CLOSED + timedelta(hours=1))
        for minute in (61, 62):
            swept = sweep_usage(world.store, world.stripe, now=CLOSED + minute * MINUTE).swept
        assert (swept.handled, swept.failed) == (0, 0)
        assert world.states() == {IN: EntryState.ACCEPTED}

    def test_reports_the_lag_even_if_nothing_can_be_sent(self, world: BillingWorld) -> None:
        fail_with(world, ApiKeyRejected())
        world.close_hour(FIRST, now=CLOSED, tokens_in=120)
        later = CLOSED + timedelta(hours=8)
        lag_s = (later - FIRST - HOUR).total_seconds()
        assert sweep_usage(world.store, world.stripe, now=later).lag_s == lag_s

    def test_leaves_entries_if_time_runs_out(self, world: BillingWorld) -> None:
        fail_with(world, PaymentsUnavailable())
        world.close_hour(FIRST, now=CLOSED, tokens_in=120)
        fail_with(world, None)
        with invocation(Context(left_s=0)):
            swept = sweep_usage(world.store, world.stripe, now=CLOSED + MINUTE).swept
        assert (swept.handled, swept.left, world.counted()) == (0, 1, {})


class TestCircuit:
    def test_opens_after_three_consecutive_tenants_fail(self) -> None:
        circuit = Circuit()
        for number in range(MAX_CONSECUTIVE_TENANTS):
            assert circuit.allows("other")
            circuit.failed(PaymentsUnavailable(), tenant_id=f"t{number}")
            assert not circuit.allows(f"t{number}")
        assert not circuit.allows("other")

    def test_stays_closed_if_one_succeeds_in_between(self) -> None:
        circuit = Circuit()
        for number in range(3 * MAX_CONSECUTIVE_TENANTS):
            circuit.failed(PaymentsUnavailable(), tenant_id=f"t{number}")
            circuit.succeeded()
        assert circuit.allows("other")

    def test_opens_for_a_rejected_key(self) -> None:
        circuit = Circuit()
        circuit.failed(ApiKeyRejected(), tenant_id="t")
        assert not circuit.allows("other")

    def test_blocks_only_the_missing_meter(self) -> None:
        circuit = Circuit()
        circuit.failed(CatalogMissing(), tenant_id="t", meter=BilledMeter.TOKENS_IN)
        assert circuit.allows("t", BilledMeter.TOKENS_OUT)
        assert not circuit.allows("other", BilledMeter.TOKENS_IN)


KINDS = st.lists(
    st.sampled_from([None, ApiKeyRejected(), PaymentsBusy(), CatalogMissing(), PaymentsUnavailable()]), max_size=30
)
LOST = st.lists(st.sampled_from([None, PaymentsUnavailable()]), max_size=30)


class TestAnyOutages:
    @settings(max_examples=150, deadline=None)
    @given(before=KINDS, after=LOST, minutes=st.lists(st.integers(1, 600), min_size=5, max_size=20))
    def test_usage_is_counted_once(
        self, before: list[Exception | None], after: list[Exception | None], minutes: list[int]
    ) -> None:
        world = BillingWorld()
        world.subscribe()
        world.stripe.before_send, world.stripe.after_send = fails(*before), fails(*after)
        world.close_hour(FIRST, now=CLOSED, tokens_in=120, tokens_out=7)
        world.close_hour(FIRST, rev=1, now=CLOSED, tokens_in=-20)
        now = CLOSED
        for minute in minutes:
            now += minute * MINUTE
            sweep_usage(world.store, world.stripe, now=now)
        world.stripe.before_send = world.stripe.after_send = fails()
        for _ in range(3):
            now += timedelta(hours=7)
            flush_all(world.store, world.stripe, now=now)
        assert flush(world.store, world.stripe, TENANT, now=now).all_sent
        assert sum(quantity for name, quantity in world.counted().items() if ":tokens_in:" in name) == 100
        assert world.counted()[OUT] == 7
