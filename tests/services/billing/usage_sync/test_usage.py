"""Hourly usage and its meter events."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.billing.catalog.domain import BilledMeter
from services.billing.customers.domain.subscription import Subscription, SubscriptionState
from services.billing.usage_sync.domain import (
    HOUR,
    EntryState,
    HourUsage,
    SearchResult,
    SyncEntry,
    book,
    can_be_sent_unchecked,
    carry_to_current_hour,
    is_billable,
    is_too_late,
    lag_s,
    mark_accepted,
    mark_sent,
    search_in_sum,
    total_usage,
    units_of,
)
from shared.meters import Meter
from shared.plans import Plan
from tests.services.billing.stripe_subscriptions import ENDS, STARTED, subscription

FIRST = datetime(2026, 11, 22, 11, tzinfo=UTC)
NOW = FIRST + HOUR
DAY = timedelta(days=1)


def used(hour: datetime = FIRST, rev: int = 0, **meters: int) -> HourUsage:
    return HourUsage(hour, rev, {Meter(name): amount for name, amount in meters.items()}, events=1)


def entry(quantity: int = 10, rev: int = 0, state: EntryState = EntryState.PENDING) -> SyncEntry:
    return SyncEntry("acme", BilledMeter.TOKENS_IN, FIRST, rev, quantity, FIRST, carried=False, state=state)


class TestBillable:
    @pytest.mark.parametrize(
        ("hour", "billed"),
        [
            (STARTED - timedelta(minutes=17) - HOUR, False),
            (STARTED - timedelta(minutes=17), False),
            (FIRST, True),
            (ENDS, True),
        ],
    )
    def test_the_first_hour_and_all_before_are_free(self, hour: datetime, billed: bool) -> None:  # noqa: FBT001 — a case
        assert is_billable(hour, subscription(), now=NOW) is billed

    def test_an_hour_belongs_to_the_subscription_in_which_it_starts(self) -> None:
        over = subscription(SubscriptionState.CANCELED, ended_at=ENDS)
        assert is_billable(ENDS - timedelta(minutes=17), over, now=ENDS + HOUR)
        assert not is_billable(ENDS + timedelta(minutes=43), over, now=ENDS + HOUR)

    def test_no_hour_after_the_last_invoice(self) -> None:
        over = subscription(SubscriptionState.CANCELED, ended_at=ENDS)
        assert not is_billable(ENDS - HOUR, over, now=ENDS + DAY)

    @pytest.mark.parametrize("other", [subscription(SubscriptionState.INCOMPLETE), subscription(plan=Plan.FREE)])
    def test_no_hour_without_a_metered_subscription(self, other: Subscription) -> None:
        assert not is_billable(FIRST, other, now=NOW)


class TestBook:
    def test_creates_an_event_for_each_billed_meter_with_the_hour_as_timestamp(self) -> None:
        booking = book(
            used(requests=1, tokens_in=120, tokens_out=7, egress_bytes=0, storage_byte_hours=2_500_000),
            tenant_id="acme",
            subscription=subscription(),
            byte_hours_left=600_000,
            now=NOW,
        )
        assert [(one.identifier, one.quantity, one.timestamp) for one in booking.entries] == [
            ("acme:tokens_in:2026-11-22T11:0", 120, FIRST),
            ("acme:tokens_out:2026-11-22T11:0", 7, FIRST),
            ("acme:storage_mb_hours:2026-11-22T11:0", 3, FIRST),
        ]
        assert booking.byte_hours_left == 100_000

    def test_a_correction_may_be_negative(self) -> None:
        booking = book(
            used(rev=1, tokens_in=-20, storage_byte_hours=-1),
            tenant_id="acme",
            subscription=subscription(),
            byte_hours_left=0,
            now=NOW,
        )
        assert [(one.identifier, one.quantity) for one in booking.entries] == [
            ("acme:tokens_in:2026-11-22T11:1", -20),
            ("acme:storage_mb_hours:2026-11-22T11:1", -1),
        ]
        assert booking.byte_hours_left == 999_999

    def test_an_identifier_is_within_the_limit_of_stripe(self) -> None:
        longest = SyncEntry("x" * 63, BilledMeter.STORAGE_MB_HOURS, FIRST, 99_999, 1, FIRST, carried=False)
        assert len(longest.identifier) <= 100

    @given(st.lists(st.integers(-(10**9), 10**12)))
    def test_loses_no_byte_hour_in_any_order(self, byte_hours: list[int]) -> None:
        left, sent_units = 0, 0
        for amount in byte_hours:
            quantities, left = units_of({Meter.STORAGE_BYTE_HOURS: amount}, byte_hours_left=left)
            sent_units += quantities[BilledMeter.STORAGE_MB_HOURS]
        assert sent_units * 10**6 + left == sum(byte_hours)
        assert 0 <= left < 10**6


class TestTooLate:
    @pytest.mark.parametrize(
        ("hour", "now", "late"),
        [
            (FIRST, NOW, False),
            (ENDS - HOUR, ENDS + timedelta(hours=22), False),
            (ENDS - HOUR, ENDS + timedelta(hours=23), True),
            (STARTED - DAY, STARTED + timedelta(hours=22), False),
            (STARTED - DAY, STARTED + timedelta(hours=23), True),
            (STARTED - 29 * DAY, STARTED + HOUR, True),
            (ENDS + HOUR, ENDS + 30 * DAY, False),
            (FIRST, FIRST + 34 * DAY + HOUR, True),
        ],
    )
    def test_is_usage_that_no_invoice_accepts(self, hour: datetime, now: datetime, late: bool) -> None:  # noqa: FBT001 — a case
        assert is_too_late(hour, subscription(), now=now) is late

    def test_is_usage_before_a_change_of_plan_within_the_period(self) -> None:
        changed = replace(subscription(), plan_changed_at=FIRST + timedelta(minutes=30))
        assert is_too_late(FIRST, changed, now=NOW)
        assert not is_too_late(FIRST + HOUR, changed, now=NOW)
        assert (
            carry_to_current_hour(entry(), changed, now=FIRST + timedelta(minutes=40)).timestamp
            == changed.plan_changed_at
        )
        assert carry_to_current_hour(entry(), changed, now=NOW).timestamp == NOW

    def test_is_carried_into_the_current_hour(self) -> None:
        late = book(
            used(tokens_in=5), tenant_id="acme", subscription=subscription(), byte_hours_left=0, now=ENDS + 2 * DAY
        )
        [carried] = late.entries
        assert (carried.carried, carried.hour) == (True, FIRST)
        assert carried.timestamp == datetime(2026, 12, 24, 10, tzinfo=UTC)
        assert carried.identifier == "acme:tokens_in:2026-11-22T11:0"

    def test_a_pending_entry_can_be_carried_later(self) -> None:
        moved = carry_to_current_hour(entry(), subscription(), now=ENDS + 2 * DAY)
        assert (moved.carried, moved.timestamp_hour) == (True, datetime(2026, 12, 24, 10, tzinfo=UTC))
        assert moved.identifier == entry().identifier


class TestResend:
    def test_within_twenty_hours_relies_on_the_identifier(self) -> None:
        first = mark_sent(entry(), now=NOW)
        assert can_be_sent_unchecked(first, now=NOW + timedelta(hours=20, seconds=-1))
        assert not can_be_sent_unchecked(first, now=NOW + timedelta(hours=20))
        assert mark_sent(first, now=NOW + HOUR).first_sent_at == NOW

    @pytest.mark.parametrize(
        ("others", "total", "found"),
        [
            ([], 10, SearchResult.PRESENT),
            ([], 0, SearchResult.MISSING),
            ([], 7, SearchResult.UNCLEAR),
            ([mark_accepted(entry(5, rev=1))], 15, SearchResult.PRESENT),
            ([mark_accepted(entry(5, rev=1))], 5, SearchResult.MISSING),
            ([entry(5, rev=1)], 10, SearchResult.PRESENT),
            ([entry(5, rev=1, state=EntryState.SENT)], 15, SearchResult.PRESENT),
            ([entry(5, rev=1, state=EntryState.SENT)], 5, SearchResult.MISSING),
            ([entry(10, rev=1, state=EntryState.SENT)], 10, SearchResult.UNCLEAR),
            ([replace(entry(5, rev=1), state=EntryState.REJECTED)], 10, SearchResult.PRESENT),
        ],
    )
    def test_later_relies_on_the_sum(self, others: list[SyncEntry], total: int, found: SearchResult) -> None:
        searched = mark_sent(entry(), now=NOW)
        assert search_in_sum(searched, [searched, *others], stripes_sum=total) is found

    def test_stops_searching_among_too_many_uncertain_entries(self) -> None:
        searched = mark_sent(entry(), now=NOW)
        others = [entry(2**number, rev=number + 1, state=EntryState.SENT) for number in range(60)]
        assert search_in_sum(searched, [searched, *others], stripes_sum=10) is SearchResult.UNDECIDED

    def test_searches_many_uncertain_entries_of_equal_size(self) -> None:
        searched = mark_sent(entry(), now=NOW)
        others = [entry(100, rev=number + 1, state=EntryState.SENT) for number in range(500)]
        assert search_in_sum(searched, [searched, *others], stripes_sum=30_010) is SearchResult.PRESENT
        assert search_in_sum(searched, [searched, *others], stripes_sum=30_000) is SearchResult.MISSING


class TestTotalUsage:
    def test_adds_hours_and_corrections(self) -> None:
        found = total_usage([used(tokens_in=5, storage_byte_hours=600_000), used(FIRST + HOUR, rev=1, tokens_in=-2)])
        assert found.quantities[BilledMeter.TOKENS_IN] == 3
        assert found.quantities[BilledMeter.STORAGE_MB_HOURS] == 0
        assert found.counted_until == FIRST + 2 * HOUR

    def test_has_no_end_without_hours(self) -> None:
        assert total_usage([]).counted_until is None


class TestLag:
    def test_starts_at_the_end_of_the_oldest_hour(self) -> None:
        assert lag_s([FIRST + HOUR, FIRST], now=FIRST + HOUR + timedelta(minutes=5)) == 300

    def test_is_zero_without_unsent_hours(self) -> None:
        assert lag_s([], now=FIRST) == 0
