"""Tests of the rules of usage, hours and days."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.metering.counters.domain import days as periods
from services.metering.counters.domain import hours
from services.metering.counters.domain.amounts import Amounts, Dimensions
from services.metering.counters.domain.days import Days, PeriodUsage, UsagePeriod
from services.metering.counters.domain.hours import Revision
from services.metering.errors import InvalidRange
from services.metering.ledger.domain import counting
from services.metering.usage import domain as usage_domain
from services.metering.usage.domain import GroupBy
from shared.meters import Meter
from tests.services.metering.fixtures import AT, Usage, entry, used

DIMENSIONS = Dimensions("agt_1", "gpt-4", "simulated", None)


class TestEntryFromCall:
    def test_omits_meters_that_are_zero(self) -> None:
        made = entry(used(meters={Meter.REQUESTS: 1, Meter.TOKENS_IN: 0}))
        assert made.meters == {Meter.REQUESTS: 1}

    def test_equal_content_has_equal_hashes(self) -> None:
        again = used(meters={Meter.TOKENS_OUT: 30, Meter.TOKENS_IN: 12, Meter.REQUESTS: 1, Meter.COMPUTE_MS: 0})
        assert entry(used()).content_hash == entry(again).content_hash

    def test_hash_does_not_depend_on_the_trace(self) -> None:
        traced = used().model_copy(update={"trace_id": "1-abc"})
        assert entry(used()).content_hash == entry(traced).content_hash

    @pytest.mark.parametrize(
        "other",
        [
            used(meters={Meter.REQUESTS: 1, Meter.TOKENS_IN: 13, Meter.TOKENS_OUT: 30}),
            used(cost_nano_usd=None),
            used(cost_nano_usd=0),
            used(at=AT + timedelta(hours=1)),
            used(model="gpt-5"),
            used(project_id="prj_1"),
        ],
    )
    def test_different_content_has_different_hashes(self, other: Usage) -> None:
        assert entry(used()).content_hash != entry(other).content_hash


class TestHours:
    @pytest.mark.parametrize(
        ("moment", "hour"),
        [
            (datetime(2026, 11, 22, 23, 59, 59, 999_999, UTC), datetime(2026, 11, 22, 23, tzinfo=UTC)),
            (datetime(2026, 11, 23, 0, 0, tzinfo=UTC), datetime(2026, 11, 23, 0, tzinfo=UTC)),
            (
                datetime(2026, 12, 1, 1, 30, tzinfo=timezone(timedelta(hours=2))),
                datetime(2026, 11, 30, 23, tzinfo=UTC),
            ),
        ],
    )
    def test_hours_are_in_utc(self, moment: datetime, hour: datetime) -> None:
        assert hours.hour_of(moment).isoformat() == hour.isoformat()

    @settings(deadline=None)  # a slow machine is no failure
    @given(st.text(min_size=1), st.datetimes(timezones=st.just(UTC), min_value=datetime(2026, 1, 1)))  # noqa: DTZ001 — hypothesis wants it naive
    def test_a_shard_is_stable_and_within_range(self, event_id: str, moment: datetime) -> None:
        hour = hours.hour_of(moment)
        shard = hours.shard_of(event_id, hour.date())
        assert 0 <= shard < hours.shard_count(hour.date())
        assert shard == hours.shard_of(event_id, hour.date())

    def test_events_are_spread_over_all_shards(self) -> None:
        shards = {hours.shard_of(f"run_{number}:1:1", AT.date()) for number in range(100)}
        assert shards == set(range(hours.shard_count(AT.date())))


class TestSplitIntoTransactions:
    def test_includes_identical_entries_once(self) -> None:
        made = entry(used())
        assert counting.split_into_transactions([made, made], max_actions=100) == [[made]]

    def test_moves_a_conflicting_entry_to_a_later_transaction(self) -> None:
        first, second = entry(used()), entry(used(cost_nano_usd=1))
        third = entry(used("run_2"))
        assert counting.split_into_transactions([first, second, third], max_actions=100) == [[first, third], [second]]

    def test_starts_a_new_transaction_when_one_is_full(self) -> None:
        entries = [entry(used(f"run_{number}")) for number in range(5)]
        # Each entry is an action, and so are the total and the row that they share.
        assert [len(part) for part in counting.split_into_transactions(entries, max_actions=4)] == [2, 2, 1]

    @settings(deadline=None)  # a slow machine is no failure
    @given(st.lists(st.tuples(st.integers(0, 200), st.integers(0, 30), st.integers(0, 5)), max_size=150))
    def test_no_transaction_exceeds_the_limit_of_actions(self, numbers: list[tuple[int, int, int]]) -> None:
        entries = [
            entry(used(f"run_{run}", at=AT - timedelta(hours=ago), agent_id=f"agt_{agent}"))
            for run, ago, agent in numbers
        ]
        parts = counting.split_into_transactions(entries, max_actions=100)
        assert {one.content_hash for part in parts for one in part} == {one.content_hash for one in entries}
        for part in parts:
            revisions = {one.hour: Revision(one.hour) for one in part}
            assert len(part) + len(counting.increments_of(part, revisions)) <= 100


class TestIncrementsOf:
    def test_sums_entries_of_the_same_counter(self) -> None:
        entries = [entry(used(f"run_{number}", cost_nano_usd=number or None)) for number in range(50)]
        hour = hours.hour_of(AT)
        raised = counting.increments_of(entries, {hour: Revision(hour, 2)})
        [total, row] = sorted(raised, key=lambda counter: counter.dimensions is not None)
        assert (total.dimensions, row.dimensions) == (None, DIMENSIONS)
        assert raised[total] == raised[row]
        assert (raised[total].events, raised[total].unpriced) == (50, 1)
        assert raised[total].priced_nano_usd == sum(range(50))
        assert raised[total].meters[Meter.TOKENS_OUT] == 50 * 30
        assert total.revision == Revision(hour, 2)

    def test_uses_one_shard_per_hour_in_a_transaction(self) -> None:
        part = [entry(used(f"run_{number}", at=AT - timedelta(hours=number % 2))) for number in range(20)]
        raised = counting.increments_of(part, {one.hour: Revision(one.hour) for one in part})
        assert len(raised) == 4
        assert len({(counter.revision, counter.shard) for counter in raised}) == 2

    def test_cost_is_unknown_if_no_event_had_a_price(self) -> None:
        assert Amounts(events=2, unpriced=2).cost_nano_usd is None
        assert Amounts(events=2, unpriced=1).cost_nano_usd == 0


class TestDays:
    @settings(deadline=None)
    @given(st.dates(date(2020, 1, 1), date(2030, 1, 1)), st.integers(1, 400))
    def test_whole_months_and_the_remaining_days_cover_the_range(self, start: date, length: int) -> None:
        days = Days(start, start + timedelta(days=length))
        parts = sorted([days.whole_months, *days.around_whole_months], key=lambda part: (part.start, part.end))
        covered = [part for part in parts if part]
        assert (covered[0].start, covered[-1].end) == (days.start, days.end)
        assert [part.end for part in covered[:-1]] == [part.start for part in covered[1:]]
        if days.whole_months:
            assert (days.whole_months.start.day, days.whole_months.end.day) == (1, 1)
        assert all((part.end - part.start).days <= 60 for part in days.around_whole_months)

    def test_defaults_to_the_last_30_days_including_today(self) -> None:
        days = periods.requested_days(None, None, period=UsagePeriod.DAY, today=date(2026, 11, 22))
        assert days == Days(date(2026, 10, 24), date(2026, 11, 23))

    def test_defaults_to_the_last_12_months_including_the_current_one(self) -> None:
        days = periods.requested_days(None, None, period=UsagePeriod.MONTH, today=date(2026, 12, 31))
        assert days == Days(date(2026, 1, 1), date(2027, 1, 1))

    def test_computes_a_start_from_a_leap_day(self) -> None:
        days = periods.requested_days(None, date(2028, 2, 29), period=UsagePeriod.MONTH, today=date(2028, 6, 1))
        assert days == Days(date(2027, 2, 1), date(2028, 2, 29))

    def test_accepts_400_days(self) -> None:
        end = date(2026, 11, 22)
        assert periods.requested_days(end - timedelta(days=400), end, period=UsagePeriod.DAY, today=end).end == end

    @pytest.mark.parametrize("length", [-1, 0, 401])
    def test_refuses_an_invalid_range(self, length: int) -> None:
        end = date(2026, 11, 22)
        with pytest.raises(InvalidRange):
            periods.requested_days(end - timedelta(days=length), end, period=UsagePeriod.DAY, today=end)


class TestSumUsage:
    def test_sums_days_and_months_newest_first(self) -> None:
        sums = [
            PeriodUsage(date(2026, 11, 30), None, Amounts(1, meters={Meter.REQUESTS: 1})),
            PeriodUsage(date(2026, 11, 30), None, Amounts(2, meters={Meter.REQUESTS: 2})),
            PeriodUsage(date(2026, 12, 1), None, Amounts(4, meters={Meter.REQUESTS: 4})),
        ]
        daily = usage_domain.sum_usage(sums, period=UsagePeriod.DAY, group_by=None)
        assert [(row.start, row.amounts.events) for row in daily] == [(date(2026, 12, 1), 4), (date(2026, 11, 30), 3)]
        monthly = usage_domain.sum_usage(sums, period=UsagePeriod.MONTH, group_by=None)
        assert [(row.start, row.amounts.events) for row in monthly] == [(date(2026, 12, 1), 4), (date(2026, 11, 1), 3)]

    @pytest.mark.parametrize(
        ("group_by", "group"),
        [
            (GroupBy.AGENT, "agt_1"),
            (GroupBy.MODEL, "gpt-4"),
            (GroupBy.PROVIDER, "simulated"),
            (GroupBy.PROJECT, None),
        ],
    )
    def test_groups_by_the_requested_dimension(self, group_by: GroupBy, group: str | None) -> None:
        other = Dimensions("agt_2", "m", "p", "prj_1")
        sums = [PeriodUsage(AT.date(), of, Amounts(1)) for of in (DIMENSIONS, DIMENSIONS, other)]
        rows = usage_domain.sum_usage(sums, period=UsagePeriod.DAY, group_by=group_by)
        assert {row.group: row.amounts.events for row in rows} == {group: 2, group_by.value_of(other): 1}


class TestRevisions:
    HOUR = datetime(2026, 11, 22, 23, tzinfo=UTC)

    @pytest.mark.parametrize("opened_at", [HOUR, HOUR + timedelta(hours=5)])
    def test_an_hour_closes_ten_minutes_after_its_end(self, opened_at: datetime) -> None:
        assert Revision(self.HOUR).closes_at(opened_at=opened_at) == self.HOUR + timedelta(hours=1, minutes=10)

    def test_a_correction_closes_ten_minutes_after_it_was_opened(self) -> None:
        opened_at = self.HOUR + timedelta(days=3)
        assert Revision(self.HOUR, 1).closes_at(opened_at=opened_at) == opened_at + timedelta(minutes=10)

    @pytest.mark.parametrize(("age", "too_old"), [(timedelta(days=35), False), (timedelta(days=35, seconds=1), True)])
    def test_usage_is_accepted_for_35_days(self, age: timedelta, too_old: bool) -> None:  # noqa: FBT001 — a parameter of the test
        assert hours.is_too_old(AT - age, now=AT) is too_old
