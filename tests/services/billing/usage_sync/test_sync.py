"""Booking and sending of usage, with failures at every step."""

from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.billing.errors import HourAlreadyBooked, PaymentsUnavailable, RejectedByStripe
from services.billing.usage_sync.domain import HOUR, Booking, EntryState, HourUsage, SyncEntry, book
from services.billing.usage_sync.operations.booking import book_open_hours, flush
from services.billing.usage_sync.operations.sweeping import sweep_usage
from services.billing.usage_sync.table.usage import RemainderTable, UsageTable
from shared.meters import Meter
from shared.sweep import Swept
from tests.services.billing.stripe_subscriptions import ENDS, subscription
from tests.services.billing.world import CUSTOMER_ID, TENANT, BillingWorld

FIRST = datetime(2026, 11, 22, 11, tzinfo=UTC)
CLOSED = FIRST + HOUR + timedelta(minutes=10)
ALL_CLOSED = CLOSED + 4 * HOUR
MINUTE = timedelta(minutes=1)
IN, OUT = "demo-org:tokens_in:2026-11-22T11:0", "demo-org:tokens_out:2026-11-22T11:0"


class Died(BaseException):
    """The process was killed."""


def dies_at(number: int) -> Callable[[], None]:
    """Return a hook that kills the process before its n-th write."""
    left = [number]

    def write() -> None:
        left[0] -= 1
        if left[0] == 0:
            raise Died

    return write


def fails(*errors: Exception | None) -> Callable[[SyncEntry], None]:
    """Return a hook that raises these errors in order; None raises nothing."""
    left = list(errors)

    def send(_: SyncEntry) -> None:
        error = left.pop(0) if left else None
        if error:
            raise error

    return send


@pytest.fixture
def world() -> BillingWorld:
    """Return a subscribed tenant."""
    world = BillingWorld()
    world.subscribe()
    return world


class TestHappyPath:
    def test_sends_an_hour_and_records_it_in_the_ledger(self, world: BillingWorld) -> None:
        world.close_hour(FIRST, now=CLOSED, tokens_in=120, tokens_out=7)
        assert world.counted() == {IN: 120, OUT: 7}
        assert world.states() == {IN: EntryState.ACCEPTED, OUT: EntryState.ACCEPTED}

    def test_sends_a_duplicate_event_once(self, world: BillingWorld) -> None:
        sends: list[str] = []
        world.stripe.before_send = lambda entry: sends.append(entry.identifier)
        world.close_hour(FIRST, now=CLOSED, tokens_in=120)
        world.close_hour(FIRST, now=CLOSED, tokens_in=120)
        assert sends == [IN]

    def test_leaves_final_entries_out_of_the_sweep(self, world: BillingWorld) -> None:
        world.close_hour(FIRST, now=CLOSED, tokens_in=120)
        assert sweep_usage(world.store, world.stripe, now=CLOSED + timedelta(days=1)).swept == Swept()

    def test_sends_a_correction_as_a_difference(self, world: BillingWorld) -> None:
        world.close_hour(FIRST, rev=1, now=CLOSED, tokens_in=-20)
        world.close_hour(FIRST, now=CLOSED, tokens_in=120)
        assert sum(world.counted().values()) == 100

    def test_sends_nothing_for_a_manually_billed_tenant(self) -> None:
        manual = BillingWorld()
        manual.close_hour(FIRST, now=CLOSED, tokens_in=120)
        assert (manual.counted(), manual.states()) == ({}, {})

    def test_the_first_hour_and_all_before_are_free(self, world: BillingWorld) -> None:
        world.close_hour(FIRST - HOUR, now=CLOSED, tokens_in=120)
        world.close_hour(FIRST - 2 * HOUR, now=CLOSED, tokens_in=120)
        assert world.counted() == {}

    def test_sends_hours_that_closed_before_the_subscription_was_known(self) -> None:
        world = BillingWorld()
        world.close_hour(FIRST - HOUR, now=CLOSED, tokens_in=1)
        world.close_hour(FIRST, now=CLOSED, tokens_in=120)
        world.subscribe(now=CLOSED)
        book_open_hours(world.store, world.stripe, TENANT, now=CLOSED)
        book_open_hours(world.store, world.stripe, TENANT, now=CLOSED)
        assert world.counted() == {IN: 120}

    def test_carries_late_usage_into_the_current_period(self, world: BillingWorld) -> None:
        late = ENDS + timedelta(days=2)
        world.close_hour(FIRST, now=late, tokens_in=9)
        [(_, entry)] = world.stripe.meter_events.values()
        assert (entry.carried, entry.timestamp > ENDS, entry.hour) == (True, True, FIRST)


class TestBooking:
    @pytest.mark.parametrize("remainder", [0, 5])
    def test_two_concurrent_bookings_share_one_remainder(self, world: BillingWorld, remainder: int) -> None:
        usage = HourUsage(FIRST, 0, {Meter.TOKENS_IN: 9}, events=1)
        UsageTable(world.store, TENANT).create(usage)
        for later in (0, 1):
            booking = book(
                usage,
                tenant_id=TENANT,
                subscription=subscription(),
                byte_hours_left=0,
                now=ENDS + timedelta(days=2, hours=later),
            )
            outdated = replace(booking, byte_hours_left=remainder)
            with nullcontext() if later == 0 else pytest.raises(HourAlreadyBooked):
                UsageTable(world.store, TENANT).book(usage, outdated, left_before=0, due_at=ENDS)
        assert len(world.ledger()) == 1

    def test_refuses_a_booking_with_an_outdated_remainder(self, world: BillingWorld) -> None:
        for hour, left in ((FIRST, 5), (FIRST + HOUR, 7)):
            usage = HourUsage(hour, 0, {}, events=1)
            UsageTable(world.store, TENANT).create(usage)
            with nullcontext() if hour == FIRST else pytest.raises(HourAlreadyBooked):
                UsageTable(world.store, TENANT).book(usage, Booking((), left), left_before=0, due_at=ENDS)
        assert RemainderTable(world.store, TENANT).read() == 5


class TestFaults:
    @pytest.mark.parametrize("write", range(1, 9))
    def test_totals_are_equal_after_a_crash_at_any_write(self, world: BillingWorld, write: int) -> None:
        world.table.before_write = dies_at(write)
        # The last number is greater than that of any write.
        with suppress(Died):
            world.close_hour(FIRST, now=CLOSED, tokens_in=120, tokens_out=7)
        world.table.before_write = lambda: None
        # The queue delivers the event again, and the sweep finds the entries that were booked before.
        world.close_hour(FIRST, now=CLOSED + MINUTE, tokens_in=120, tokens_out=7)
        sweep_usage(world.store, world.stripe, now=CLOSED + 5 * MINUTE)
        assert world.counted() == {IN: 120, OUT: 7}
        assert set(world.states().values()) == {EntryState.ACCEPTED}

    @pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
    def test_after_a_failure_the_sweep_sends_again(self, world: BillingWorld, after: bool) -> None:  # noqa: FBT001 — a case
        failing = fails(PaymentsUnavailable(), PaymentsUnavailable())
        if after:
            world.stripe.after_send = failing
        else:
            world.stripe.before_send = failing
        world.close_hour(FIRST, now=CLOSED, tokens_in=120, tokens_out=7)
        for minute in range(1, 5):
            sweep_usage(world.store, world.stripe, now=CLOSED + minute * MINUTE)
        assert world.counted() == {IN: 120, OUT: 7}
        assert set(world.states().values()) == {EntryState.ACCEPTED}

    def test_postpones_if_stripe_is_busy(self, world: BillingWorld) -> None:
        tries: list[str] = []

        def busy(entry: SyncEntry) -> None:
            tries.append(entry.identifier)
            raise PaymentsUnavailable

        world.stripe.before_send = busy
        world.close_hour(FIRST, now=CLOSED, tokens_in=120, tokens_out=7)
        sweep_usage(world.store, world.stripe, now=CLOSED + MINUTE)
        assert len(tries) == 2

    def test_records_a_rejection_with_its_reason(self, world: BillingWorld) -> None:
        world.stripe.before_send = fails(RejectedByStripe("timestamp_too_far_in_past"))
        world.close_hour(FIRST, now=CLOSED, tokens_in=120)
        [entry] = world.ledger()
        assert (entry.state, entry.reason) == (EntryState.REJECTED, "timestamp_too_far_in_past")
        assert sweep_usage(world.store, world.stripe, now=CLOSED + timedelta(days=1)).swept == Swept()

    def test_after_twenty_hours_is_not_resent_if_the_sum_contains_it(self, world: BillingWorld) -> None:
        world.stripe.after_send = fails(PaymentsUnavailable())
        world.close_hour(FIRST, now=CLOSED, tokens_in=120)
        world.stripe.before_send = fails(AssertionError("it was sent again"))
        sweep_usage(world.store, world.stripe, now=CLOSED + timedelta(hours=21))
        assert world.states() == {IN: EntryState.ACCEPTED}

    def test_after_twenty_hours_is_resent_if_the_sum_lacks_it(self, world: BillingWorld) -> None:
        world.stripe.before_send = fails(PaymentsUnavailable())
        world.close_hour(FIRST, now=CLOSED, tokens_in=120)
        sweep_usage(world.store, world.stripe, now=CLOSED + timedelta(hours=21))
        assert (world.counted(), world.states()) == ({IN: 120}, {IN: EntryState.ACCEPTED})

    def test_leaves_an_unclear_sum_to_operators(self, world: BillingWorld) -> None:
        world.stripe.after_send = fails(PaymentsUnavailable())
        world.close_hour(FIRST, now=CLOSED, tokens_in=120)
        stray = SyncEntry(TENANT, world.ledger()[0].meter, FIRST, 77, 3, FIRST, carried=False)
        world.stripe.meter_events["stray"] = (CUSTOMER_ID, stray)
        sweep_usage(world.store, world.stripe, now=CLOSED + timedelta(hours=21))
        assert world.states() == {IN: EntryState.SENT}

    def test_carries_usage_that_was_not_sent_in_its_period(self, world: BillingWorld) -> None:
        world.stripe.before_send = fails(PaymentsUnavailable())
        world.close_hour(ENDS - HOUR, now=ENDS, tokens_in=5)
        sweep_usage(world.store, world.stripe, now=ENDS + timedelta(hours=30))
        [(_, entry)] = world.stripe.meter_events.values()
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
    def test_totals_at_stripe_equal_those_of_the_ledger(
        self, hours: dict[tuple[int, int], tuple[int, int, int]], crashes: list[int], failures: list[str]
    ) -> None:
        world = BillingWorld()
        world.subscribe()
        left = list(failures)
        world.stripe.before_send = lambda _: _fail(left, "busy")
        world.stripe.after_send = lambda _: _fail(left, "lost")
        for crash in [*crashes, 0]:
            world.table.before_write = dies_at(crash)
            for (hour, rev), (tokens_in, tokens_out, stored) in hours.items():
                meters = {"tokens_in": tokens_in, "tokens_out": tokens_out, "storage_byte_hours": stored}
                try:
                    world.close_hour(FIRST + hour * HOUR, rev=rev, now=ALL_CLOSED, **meters)
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
