"""An outage of Stripe is no statement about usage: it stays due, is sent later, and counts once."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.billing.domain.price import BilledMeter
from services.billing.domain.usage import HOUR, Entry, EntryState
from services.billing.errors import (
    CatalogueMissing,
    KeyNotAccepted,
    OutOfTime,
    PaymentsBusy,
    PaymentsUnavailable,
    RefusedByStripe,
    UsageNotAccepted,
)
from services.billing.operations.circuit import MAX_TENANTS_IN_A_ROW, Circuit
from services.billing.operations.sweeping import flush_all, sweep_usage
from services.billing.operations.usage import flush
from shared.deadline import MARGIN_S, invocation
from shared.storage.due import MAX_FAILURES, list_quarantined, release
from tests.services.billing.test_sync import fails
from tests.services.billing.worlds import TENANT, World

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
def world() -> World:
    """A paying tenant."""
    made = World()
    made.subscribe()
    return made


def fail_with(world: World, error: Exception | None) -> None:
    """Let Stripe fail, or work again."""
    world.stripe.before_send = fails(*[error] * 10_000) if error else fails()


def sweep_for(world: World, minutes: range) -> None:
    for minute in minutes:
        sweep_usage(world.store, world.stripe, now=CLOSED + minute * MINUTE)


class TestKeyNotAccepted:
    @pytest.mark.parametrize("error", [KeyNotAccepted(), CatalogueMissing(), PaymentsBusy()])
    def test_usage_stays_due_as_never_sent_and_is_sent_when_stripe_works_again(
        self, world: World, error: Exception
    ) -> None:
        fail_with(world, error)
        world.use(FIRST, now=CLOSED, tokens_in=120, tokens_out=7)
        sweep_for(world, range(1, 90))
        assert set(world.states().values()) == {EntryState.PENDING}
        assert {entry.first_sent_at for entry in world.ledger()} == {None}
        fail_with(world, None)
        sweep_for(world, range(90, 120))
        assert world.counted() == {IN: 120, OUT: 7}
        assert set(world.states().values()) == {EntryState.ACCEPTED}

    def test_days_of_it_lose_nothing_and_need_no_look_at_stripes_sums(self, world: World) -> None:
        fail_with(world, KeyNotAccepted())
        world.use(FIRST, now=CLOSED, tokens_in=120)
        for hours in range(1, 49):
            sweep_usage(world.store, world.stripe, now=CLOSED + timedelta(hours=hours))
        fail_with(world, None)
        sweep_usage(world.store, world.stripe, now=CLOSED + timedelta(hours=49))
        assert world.counted() == {IN: 120}

    def test_stripe_is_asked_once_a_minute_and_not_for_every_tenant(self, world: World) -> None:
        world.add(*OTHERS)
        fail_with(world, PaymentsUnavailable())
        for tenant in (TENANT, *OTHERS):
            world.use_of(tenant, FIRST, now=CLOSED, tokens_in=1, tokens_out=1)
        tries: list[str] = []

        def refuse(entry: Entry) -> None:
            tries.append(entry.identifier)
            raise KeyNotAccepted

        world.stripe.before_send = refuse
        sweep_usage(world.store, world.stripe, now=CLOSED + MINUTE)
        assert len(tries) == 1

    def test_a_lost_response_stays_uncertain_when_the_key_fails_next(self, world: World) -> None:
        world.stripe.after_send = fails(PaymentsUnavailable())
        world.use(FIRST, now=CLOSED, tokens_in=120)
        fail_with(world, KeyNotAccepted())
        sweep_for(world, range(1, 5))
        [entry] = world.ledger()
        assert (entry.state, entry.first_sent_at) == (EntryState.SENT, CLOSED)
        fail_with(world, AssertionError("Stripe's sum has it already"))
        sweep_usage(world.store, world.stripe, now=CLOSED + timedelta(hours=30))
        assert (world.counted(), world.states()) == ({IN: 120}, {IN: EntryState.ACCEPTED})


class TestFlush:
    @pytest.mark.parametrize("error", [KeyNotAccepted(), CatalogueMissing(), PaymentsUnavailable(), PaymentsBusy()])
    def test_says_that_usage_is_unsent_and_why(self, world: World, error: Exception) -> None:
        fail_with(world, error)
        world.use(FIRST, now=CLOSED, tokens_in=120, tokens_out=7)
        left = flush(world.store, world.stripe, TENANT, now=CLOSED + MINUTE)
        assert (left.all_sent, left.open, left.rejected) == (False, 2, 0)
        assert str(error) in left.reasons
        _, of_all = flush_all(world.store, world.stripe, now=CLOSED + MINUTE)
        assert (of_all.all_sent, of_all.open, of_all.reasons) == (False, 2, (str(error),))

    def test_says_that_usage_was_rejected_and_why(self, world: World) -> None:
        world.stripe.before_send = fails(RefusedByStripe("timestamp_too_far_in_past"))
        world.use(FIRST, now=CLOSED, tokens_in=120, tokens_out=7)
        left = flush(world.store, world.stripe, TENANT, now=CLOSED + MINUTE)
        assert (left.all_sent, left.open, left.rejected) == (False, 0, 1)
        assert left.reasons == ("timestamp_too_far_in_past",)
        _, of_all = flush_all(world.store, world.stripe, now=CLOSED + MINUTE)
        assert (of_all.all_sent, of_all.rejected) == (False, 1)

    def test_says_that_entries_are_quarantined(self, world: World) -> None:
        fail_with(world, UsageNotAccepted("parameter_unknown"))
        world.use(FIRST, now=CLOSED, tokens_in=120)
        sweep_for(world, range(1, 60))
        _, of_all = flush_all(world.store, world.stripe, now=CLOSED + timedelta(hours=1))
        assert (of_all.all_sent, of_all.open) == (False, 1)
        assert "ainexus quarantine list" in of_all.reasons[0]

    def test_of_all_sends_what_waits_for_its_next_attempt_too(self, world: World) -> None:
        world.add(*OTHERS)
        fail_with(world, PaymentsUnavailable())
        for tenant in OTHERS:
            world.use_of(tenant, FIRST, now=CLOSED, tokens_in=1)
        fail_with(world, None)
        _, left = flush_all(world.store, world.stripe, now=CLOSED)
        assert left.all_sent
        assert len(world.counted()) == len(OTHERS)

    def test_finds_usage_that_could_not_be_sent_for_more_than_34_days(self, world: World) -> None:
        fail_with(world, KeyNotAccepted())
        world.use(FIRST, now=CLOSED, tokens_in=120)
        assert flush(world.store, world.stripe, TENANT, now=CLOSED + timedelta(days=40)).open == 1
        fail_with(world, None)
        assert flush(world.store, world.stripe, TENANT, now=CLOSED + timedelta(days=40)).all_sent
        [(_, entry)] = world.stripe.counted.values()
        assert (entry.carried, entry.quantity) == (True, 120)

    def test_without_time_sends_nothing_and_says_so(self, world: World) -> None:
        fail_with(world, PaymentsUnavailable())
        world.use(FIRST, now=CLOSED, tokens_in=120)
        fail_with(world, AssertionError("there is no time for it"))
        with invocation(Context(left_s=1)):
            left = flush(world.store, world.stripe, TENANT, now=CLOSED + MINUTE)
        assert (left.all_sent, str(OutOfTime()) in left.reasons) == (False, True)


class TestSweep:
    def test_goes_on_past_an_entry_that_fails(self, world: World) -> None:
        world.add(*OTHERS)
        fail_with(world, KeyNotAccepted())
        for tenant in (TENANT, *OTHERS):
            world.use_of(tenant, FIRST, now=CLOSED, tokens_in=1)

        def poison(entry: Entry) -> None:
            if entry.tenant_id == TENANT:
                raise UsageNotAccepted("parameter_unknown")  # noqa: EM101 — as Stripe answers

        world.stripe.before_send = poison
        result = sweep_usage(world.store, world.stripe, now=CLOSED + MINUTE)
        assert (result.swept.handled, result.swept.failed) == (len(OTHERS), 1)
        assert world.states() == {IN: EntryState.PENDING}
        assert {state for one in OTHERS for state in world.states(one).values()} == {EntryState.ACCEPTED}

    def test_goes_on_past_a_tenant_whose_object_is_locked_at_stripe(self, world: World) -> None:
        world.add(*OTHERS)
        fail_with(world, PaymentsUnavailable())
        for tenant in (TENANT, *OTHERS):
            world.use_of(tenant, FIRST, now=CLOSED, tokens_in=1)

        def locked(entry: Entry) -> None:
            if entry.tenant_id == TENANT:
                raise PaymentsBusy

        world.stripe.before_send = locked
        sweep_usage(world.store, world.stripe, now=CLOSED + MINUTE)
        assert len(world.counted()) == len(OTHERS)

    def test_goes_on_past_a_meter_that_is_not_there(self, world: World) -> None:
        world.add(*OTHERS)
        fail_with(world, PaymentsUnavailable())
        for tenant in (TENANT, *OTHERS):
            world.use_of(tenant, FIRST, now=CLOSED, tokens_in=1, tokens_out=1)
        tries: list[str] = []

        def missing(entry: Entry) -> None:
            tries.append(entry.meter)
            if entry.meter is BilledMeter.TOKENS_IN:
                raise CatalogueMissing

        world.stripe.before_send = missing
        sweep_usage(world.store, world.stripe, now=CLOSED + MINUTE)
        assert tries.count("tokens_in") == 1
        assert len(world.counted()) == len(OTHERS) + 1

    def test_quarantines_an_entry_after_five_refusals_and_sends_it_once_released(self, world: World) -> None:
        fail_with(world, UsageNotAccepted("parameter_unknown"))
        world.use(FIRST, now=CLOSED, tokens_in=120)
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

    def test_never_quarantines_for_an_outage(self, world: World) -> None:
        fail_with(world, PaymentsUnavailable())
        world.use(FIRST, now=CLOSED, tokens_in=120)
        sweep_for(world, range(1, 200))
        assert list_quarantined(world.store) == []

    def test_takes_a_released_entry_out_that_was_sent_meanwhile(self, world: World) -> None:
        fail_with(world, UsageNotAccepted("parameter_unknown"))
        world.use(FIRST, now=CLOSED, tokens_in=120)
        sweep_for(world, range(1, 60))
        [failure] = list_quarantined(world.store)
        fail_with(world, None)
        assert flush(world.store, world.stripe, TENANT, now=CLOSED + timedelta(hours=1)).all_sent
        release(world.store, failure.failure_id, now=CLOSED + timedelta(hours=1))
        for minute in (61, 62):
            swept = sweep_usage(world.store, world.stripe, now=CLOSED + minute * MINUTE).swept
        assert (swept.handled, swept.failed) == (0, 0)
        assert world.states() == {IN: EntryState.ACCEPTED}

    def test_knows_the_lag_although_nothing_can_be_sent(self, world: World) -> None:
        fail_with(world, KeyNotAccepted())
        world.use(FIRST, now=CLOSED, tokens_in=120)
        later = CLOSED + timedelta(hours=8)
        lag_s = (later - FIRST - HOUR).total_seconds()
        assert sweep_usage(world.store, world.stripe, now=later).lag_s == lag_s

    def test_leaves_what_there_is_no_time_for(self, world: World) -> None:
        fail_with(world, PaymentsUnavailable())
        world.use(FIRST, now=CLOSED, tokens_in=120)
        fail_with(world, None)
        with invocation(Context(left_s=0)):
            swept = sweep_usage(world.store, world.stripe, now=CLOSED + MINUTE).swept
        assert (swept.handled, swept.left, world.counted()) == (0, 1, {})


class TestCircuit:
    def test_a_tenants_failure_is_the_tenants_until_three_in_a_row_fail(self) -> None:
        circuit = Circuit()
        for number in range(MAX_TENANTS_IN_A_ROW):
            assert circuit.allows("other")
            circuit.failed(PaymentsUnavailable(), tenant_id=f"t{number}")
            assert not circuit.allows(f"t{number}")
        assert not circuit.allows("other")

    def test_a_success_in_between_keeps_it_closed(self) -> None:
        circuit = Circuit()
        for number in range(3 * MAX_TENANTS_IN_A_ROW):
            circuit.failed(PaymentsUnavailable(), tenant_id=f"t{number}")
            circuit.succeeded()
        assert circuit.allows("other")

    def test_a_key_is_everybodys(self) -> None:
        circuit = Circuit()
        circuit.failed(KeyNotAccepted(), tenant_id="t")
        assert not circuit.allows("other")

    def test_a_meter_is_of_no_tenant(self) -> None:
        circuit = Circuit()
        circuit.failed(CatalogueMissing(), tenant_id="t", meter=BilledMeter.TOKENS_IN)
        assert circuit.allows("t", BilledMeter.TOKENS_OUT)
        assert not circuit.allows("other", BilledMeter.TOKENS_IN)


KINDS = st.lists(
    st.sampled_from([None, KeyNotAccepted(), PaymentsBusy(), CatalogueMissing(), PaymentsUnavailable()]), max_size=30
)
LOST = st.lists(st.sampled_from([None, PaymentsUnavailable()]), max_size=30)


class TestAnyOutages:
    @settings(max_examples=150, deadline=None)
    @given(before=KINDS, after=LOST, minutes=st.lists(st.integers(1, 600), min_size=5, max_size=20))
    def test_what_was_used_is_counted_once(
        self, before: list[Exception | None], after: list[Exception | None], minutes: list[int]
    ) -> None:
        world = World()
        world.subscribe()
        world.stripe.before_send, world.stripe.after_send = fails(*before), fails(*after)
        world.use(FIRST, now=CLOSED, tokens_in=120, tokens_out=7)
        world.use(FIRST, rev=1, now=CLOSED, tokens_in=-20)
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
