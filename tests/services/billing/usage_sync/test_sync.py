"""Usage on its way to Stripe, through everything that can go wrong."""

from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.billing.domain.usage import HOUR, Booking, Entry, EntryState, HourUsage, book
from services.billing.errors import AlreadyBooked, PaymentsUnavailable, RefusedByStripe
from services.billing.operations.sweeping import sweep_usage
from services.billing.operations.usage import book_open_hours, flush
from services.billing.table.usage import add_booking, keep_usage, read_remainder
from shared.meters import Meter
from shared.sweep import Swept
from tests.services.billing.subscriptions import ENDS, subscription
from tests.services.billing.worlds import CUSTOMER_ID, TENANT, World

FIRST = datetime(2026, 11, 22, 11, tzinfo=UTC)
CLOSED = FIRST + HOUR + timedelta(minutes=10)
ALL_CLOSED = CLOSED + 4 * HOUR
MINUTE = timedelta(minutes=1)
IN, OUT = "demo-org:tokens_in:2026-11-22T11:0", "demo-org:tokens_out:2026-11-22T11:0"


class Died(BaseException):
    """The process ended here."""


def dies_at(number: int) -> Callable[[], None]:
    """Let the process die before its n-th write from now."""
    left = [number]

    def write() -> None:
        left[0] -= 1
        if left[0] == 0:
            raise Died

    return write


def fails(*errors: Exception | None) -> Callable[[Entry], None]:
    """Raise these, one after the other; None is fine."""
    left = list(errors)

    def send(_: Entry) -> None:
        error = left.pop(0) if left else None
        if error:
            raise error

    return send


@pytest.fixture
def world() -> World:
    """A paying tenant."""
    made = World()
    made.subscribe()
    return made


class TestHappyPath:
    def test_an_hour_is_at_stripe_and_in_the_ledger(self, world: World) -> None:
        world.use(FIRST, now=CLOSED, tokens_in=120, tokens_out=7)
        assert world.counted() == {IN: 120, OUT: 7}
        assert world.states() == {IN: EntryState.ACCEPTED, OUT: EntryState.ACCEPTED}

    def test_said_twice_it_is_sent_once(self, world: World) -> None:
        sends: list[str] = []
        world.stripe.before_send = lambda entry: sends.append(entry.identifier)
        world.use(FIRST, now=CLOSED, tokens_in=120)
        world.use(FIRST, now=CLOSED, tokens_in=120)
        assert sends == [IN]

    def test_what_is_final_is_looked_at_by_nobody(self, world: World) -> None:
        world.use(FIRST, now=CLOSED, tokens_in=120)
        assert sweep_usage(world.store, world.stripe, now=CLOSED + timedelta(days=1)).swept == Swept()

    def test_a_correction_is_a_difference(self, world: World) -> None:
        world.use(FIRST, rev=1, now=CLOSED, tokens_in=-20)
        world.use(FIRST, now=CLOSED, tokens_in=120)
        assert sum(world.counted().values()) == 100

    def test_a_manual_tenant_is_never_sent(self) -> None:
        manual = World()
        manual.use(FIRST, now=CLOSED, tokens_in=120)
        assert (manual.counted(), manual.states()) == ({}, {})

    def test_the_hour_of_the_start_and_what_was_before_are_free(self, world: World) -> None:
        world.use(FIRST - HOUR, now=CLOSED, tokens_in=120)
        world.use(FIRST - 2 * HOUR, now=CLOSED, tokens_in=120)
        assert world.counted() == {}

    def test_hours_that_were_closed_before_the_subscription_was_known_are_sent_then(self) -> None:
        world = World()
        world.use(FIRST - HOUR, now=CLOSED, tokens_in=1)
        world.use(FIRST, now=CLOSED, tokens_in=120)
        world.subscribe(now=CLOSED)
        book_open_hours(world.store, world.stripe, TENANT, now=CLOSED)
        book_open_hours(world.store, world.stripe, TENANT, now=CLOSED)
        assert world.counted() == {IN: 120}

    def test_late_usage_is_carried_into_the_current_period(self, world: World) -> None:
        late = ENDS + timedelta(days=2)
        world.use(FIRST, now=late, tokens_in=9)
        [(_, entry)] = world.stripe.counted.values()
        assert (entry.carried, entry.stamped_at > ENDS, entry.hour) == (True, True, FIRST)


class TestBooking:
    @pytest.mark.parametrize("remainder", [0, 5])
    def test_two_at_once_in_different_hours_make_one(self, world: World, remainder: int) -> None:
        usage = HourUsage(FIRST, 0, {Meter.TOKENS_IN: 9}, events=1)
        keep_usage(world.store, TENANT, usage)
        for later in (0, 1):
            booking = book(
                usage,
                tenant_id=TENANT,
                subscription=subscription(),
                byte_hours_left=0,
                now=ENDS + timedelta(days=2, hours=later),
            )
            made = replace(booking, byte_hours_left=remainder)
            with nullcontext() if later == 0 else pytest.raises(AlreadyBooked):
                add_booking(world.store, TENANT, usage, made, left_before=0, due_at=ENDS)
        assert len(world.ledger()) == 1

    def test_one_that_was_made_with_an_old_remainder_is_refused(self, world: World) -> None:
        for hour, left in ((FIRST, 5), (FIRST + HOUR, 7)):
            usage = HourUsage(hour, 0, {}, events=1)
            keep_usage(world.store, TENANT, usage)
            with nullcontext() if hour == FIRST else pytest.raises(AlreadyBooked):
                add_booking(world.store, TENANT, usage, Booking((), left), left_before=0, due_at=ENDS)
        assert read_remainder(world.store, TENANT) == 5


class TestFaults:
    @pytest.mark.parametrize("write", range(1, 9))
    def test_after_a_crash_at_any_write_the_totals_are_equal(self, world: World, write: int) -> None:
        world.table.before_write = dies_at(write)
        # The last of them comes after all writes.
        with suppress(Died):
            world.use(FIRST, now=CLOSED, tokens_in=120, tokens_out=7)
        world.table.before_write = lambda: None
        # The queue brings the event again; what was booked before is found by the sweep.
        world.use(FIRST, now=CLOSED + MINUTE, tokens_in=120, tokens_out=7)
        sweep_usage(world.store, world.stripe, now=CLOSED + 5 * MINUTE)
        assert world.counted() == {IN: 120, OUT: 7}
        assert set(world.states().values()) == {EntryState.ACCEPTED}

    @pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
    def test_after_a_failure_the_sweep_sends_again(self, world: World, after: bool) -> None:  # noqa: FBT001 — a case
        failing = fails(PaymentsUnavailable(), PaymentsUnavailable())
        if after:
            world.stripe.after_send = failing
        else:
            world.stripe.before_send = failing
        world.use(FIRST, now=CLOSED, tokens_in=120, tokens_out=7)
        for minute in range(1, 5):
            sweep_usage(world.store, world.stripe, now=CLOSED + minute * MINUTE)
        assert world.counted() == {IN: 120, OUT: 7}
        assert set(world.states().values()) == {EntryState.ACCEPTED}

    def test_a_busy_stripe_is_left_alone_until_later(self, world: World) -> None:
        tries: list[str] = []

        def busy(entry: Entry) -> None:
            tries.append(entry.identifier)
            raise PaymentsUnavailable

        world.stripe.before_send = busy
        world.use(FIRST, now=CLOSED, tokens_in=120, tokens_out=7)
        sweep_usage(world.store, world.stripe, now=CLOSED + MINUTE)
        assert len(tries) == 2

    def test_what_stripe_refuses_stays_in_the_ledger_with_the_reason(self, world: World) -> None:
        world.stripe.before_send = fails(RefusedByStripe("timestamp_too_far_in_past"))
        world.use(FIRST, now=CLOSED, tokens_in=120)
        [entry] = world.ledger()
        assert (entry.state, entry.reason) == (EntryState.REJECTED, "timestamp_too_far_in_past")
        assert sweep_usage(world.store, world.stripe, now=CLOSED + timedelta(days=1)).swept == Swept()

    def test_after_twenty_hours_it_is_not_sent_again_when_the_sum_has_it(self, world: World) -> None:
        world.stripe.after_send = fails(PaymentsUnavailable())
        world.use(FIRST, now=CLOSED, tokens_in=120)
        world.stripe.before_send = fails(AssertionError("it was sent again"))
        sweep_usage(world.store, world.stripe, now=CLOSED + timedelta(hours=21))
        assert world.states() == {IN: EntryState.ACCEPTED}

    def test_after_twenty_hours_it_is_sent_again_when_the_sum_lacks_it(self, world: World) -> None:
        world.stripe.before_send = fails(PaymentsUnavailable())
        world.use(FIRST, now=CLOSED, tokens_in=120)
        sweep_usage(world.store, world.stripe, now=CLOSED + timedelta(hours=21))
        assert (world.counted(), world.states()) == ({IN: 120}, {IN: EntryState.ACCEPTED})

    def test_a_sum_that_fits_neither_is_left_to_people(self, world: World) -> None:
        world.stripe.after_send = fails(PaymentsUnavailable())
        world.use(FIRST, now=CLOSED, tokens_in=120)
        stray = Entry(TENANT, world.ledger()[0].meter, FIRST, 77, 3, FIRST, carried=False)
        world.stripe.counted["stray"] = (CUSTOMER_ID, stray)
        sweep_usage(world.store, world.stripe, now=CLOSED + timedelta(hours=21))
        assert world.states() == {IN: EntryState.SENT}

    def test_what_was_never_sent_in_its_period_is_carried(self, world: World) -> None:
        world.stripe.before_send = fails(PaymentsUnavailable())
        world.use(ENDS - HOUR, now=ENDS, tokens_in=5)
        sweep_usage(world.store, world.stripe, now=ENDS + timedelta(hours=30))
        [(_, entry)] = world.stripe.counted.values()
        assert (entry.carried, entry.quantity) == (True, 5)
        assert len(world.ledger()) == 1


CRASHES = st.lists(st.integers(1, 12), max_size=4)
FAILURES = st.lists(st.sampled_from(["fine", "busy", "lost", "died"]), max_size=12)
HOURS = st.dictionaries(
    st.tuples(st.integers(0, 4), st.integers(0, 2)),
    st.tuples(st.integers(0, 1000), st.integers(0, 1000), st.integers(0, 3_000_000)),
    max_size=5,
)


class TestAnyFaults:
    @settings(max_examples=150, deadline=None)
    @given(HOURS, CRASHES, FAILURES)
    def test_totals_at_stripe_are_those_of_the_ledger(
        self, hours: dict[tuple[int, int], tuple[int, int, int]], crashes: list[int], failures: list[str]
    ) -> None:
        world = World()
        world.subscribe()
        left = list(failures)
        world.stripe.before_send = lambda _: _fail(left, "busy")
        world.stripe.after_send = lambda _: _fail(left, "lost")
        for crash in [*crashes, 0]:
            world.table.before_write = dies_at(crash)
            for (hour, rev), (tokens_in, tokens_out, stored) in hours.items():
                meters = {"tokens_in": tokens_in, "tokens_out": tokens_out, "storage_byte_hours": stored}
                try:
                    world.use(FIRST + hour * HOUR, rev=rev, now=ALL_CLOSED, **meters)
                except Died:
                    continue
        world.table.before_write = lambda: None
        left.clear()
        assert flush(world.store, world.stripe, TENANT, now=ALL_CLOSED + MINUTE).all_sent
        ledger = {entry.identifier: entry.quantity for entry in world.ledger()}
        assert world.counted() == ledger
        assert set(world.states().values()) <= {EntryState.ACCEPTED}
        used = [sum(meters[index] for meters in hours.values()) for index in range(3)]
        for meter, amount in zip(("tokens_in", "tokens_out"), used, strict=False):
            assert sum(quantity for name, quantity in ledger.items() if f":{meter}:" in name) == amount
        stored = sum(quantity for name, quantity in ledger.items() if ":storage_mb_hours:" in name)
        assert stored == used[2] // 1_000_000


def _fail(left: list[str], kind: str) -> None:
    if left and left[0] in {kind, "died"}:
        if left.pop(0) == "died":
            raise Died
        raise PaymentsUnavailable
    if left and kind == "lost":
        left.pop(0)
