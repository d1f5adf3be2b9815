"""The rules of usage."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.metering.domain import counting, hours, periods
from services.metering.domain.hours import Revision
from services.metering.domain.periods import Days, GroupBy, Period, Sum
from services.metering.domain.usage import Amounts, Dimensions
from services.metering.errors import BadRange
from shared.meters import Meter
from tests.services.metering.usage import AT, Usage, entry, used

DIMENSIONS = Dimensions("agt_1", "gpt-4", "simulated", None)


class TestEntryOf:
    def test_leaves_out_meters_that_are_zero(self) -> None:
        made = entry(used(meters={Meter.REQUESTS: 1, Meter.TOKENS_IN: 0}))
        assert made.meters == {Meter.REQUESTS: 1}

    def test_hashes_the_same_content_to_the_same(self) -> None:
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
    def test_hashes_other_content_to_another(self, other: Usage) -> None:
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
    def test_an_hour_is_of_utc(self, moment: datetime, hour: datetime) -> None:
        assert hours.hour_of(moment).isoformat() == hour.isoformat()

    @settings(deadline=None)  # a busy machine is no failure
    @given(st.text(min_size=1), st.datetimes(timezones=st.just(UTC), min_value=datetime(2026, 1, 1)))  # noqa: DTZ001 — hypothesis wants it naive
    def test_a_shard_is_one_of_its_day(self, event_id: str, moment: datetime) -> None:
        hour = hours.hour_of(moment)
        shard = hours.shard_of(event_id, hour.date())
        assert 0 <= shard < hours.shards_of(hour.date())
        assert shard == hours.shard_of(event_id, hour.date())

    def test_shards_share_the_work(self) -> None:
        shards = {hours.shard_of(f"run_{number}:1:1", AT.date()) for number in range(100)}
        assert shards == set(range(hours.shards_of(AT.date())))


class TestInParts:
    def test_takes_an_entry_that_is_there_twice_once(self) -> None:
        made = entry(used())
        assert counting.in_parts([made, made], actions=100) == [[made]]

    def test_puts_other_content_of_an_id_into_a_later_part(self) -> None:
        first, second = entry(used()), entry(used(cost_nano_usd=1))
        third = entry(used("run_2"))
        assert counting.in_parts([first, second, third], actions=100) == [[first, third], [second]]

    def test_cuts_where_a_part_is_full(self) -> None:
        entries = [entry(used(f"run_{number}")) for number in range(5)]
        # Each is an action, and so are the total and the row that they share.
        assert [len(part) for part in counting.in_parts(entries, actions=4)] == [2, 2, 1]

    @settings(deadline=None)  # a busy machine is no failure
    @given(st.lists(st.tuples(st.integers(0, 200), st.integers(0, 30), st.integers(0, 5)), max_size=150))
    def test_no_part_takes_more_actions_than_allowed(self, numbers: list[tuple[int, int, int]]) -> None:
        entries = [
            entry(used(f"run_{run}", at=AT - timedelta(hours=ago), agent_id=f"agt_{agent}"))
            for run, ago, agent in numbers
        ]
        parts = counting.in_parts(entries, actions=100)
        assert {one.content_hash for part in parts for one in part} == {one.content_hash for one in entries}
        for part in parts:
            revisions = {one.hour: Revision(one.hour) for one in part}
            assert len(part) + len(counting.raised_by(part, revisions)) <= 100


class TestRaisedBy:
    def test_adds_up_what_touches_the_same_counter(self) -> None:
        entries = [entry(used(f"run_{number}", cost_nano_usd=number or None)) for number in range(50)]
        hour = hours.hour_of(AT)
        raised = counting.raised_by(entries, {hour: Revision(hour, 2)})
        [total, row] = sorted(raised, key=lambda counter: counter.dimensions is not None)
        assert (total.dimensions, row.dimensions) == (None, DIMENSIONS)
        assert raised[total] == raised[row]
        assert (raised[total].events, raised[total].unpriced) == (50, 1)
        assert raised[total].priced_nano_usd == sum(range(50))
        assert raised[total].meters[Meter.TOKENS_OUT] == 50 * 30
        assert total.revision == Revision(hour, 2)

    def test_takes_one_shard_of_each_hour_for_a_part(self) -> None:
        part = [entry(used(f"run_{number}", at=AT - timedelta(hours=number % 2))) for number in range(20)]
        raised = counting.raised_by(part, {one.hour: Revision(one.hour) for one in part})
        assert len(raised) == 4
        assert len({(counter.revision, counter.shard) for counter in raised}) == 2

    def test_cost_is_unknown_when_no_event_had_a_price(self) -> None:
        assert Amounts(events=2, unpriced=2).cost_nano_usd is None
        assert Amounts(events=2, unpriced=1).cost_nano_usd == 0


class TestDays:
    @settings(deadline=None)
    @given(st.dates(date(2020, 1, 1), date(2030, 1, 1)), st.integers(1, 400))
    def test_whole_months_and_the_rest_are_the_same_days(self, start: date, length: int) -> None:
        days = Days(start, start + timedelta(days=length))
        parts = sorted([days.whole_months, *days.around_whole_months], key=lambda part: (part.start, part.end))
        covered = [part for part in parts if part]
        assert (covered[0].start, covered[-1].end) == (days.start, days.end)
        assert [part.end for part in covered[:-1]] == [part.start for part in covered[1:]]
        if days.whole_months:
            assert (days.whole_months.start.day, days.whole_months.end.day) == (1, 1)
        assert all((part.end - part.start).days <= 60 for part in days.around_whole_months)

    def test_default_to_the_last_30_days_with_today(self) -> None:
        days = periods.days_asked(None, None, period=Period.DAY, today=date(2026, 11, 22))
        assert days == Days(date(2026, 10, 24), date(2026, 11, 23))

    def test_default_to_the_last_12_months_with_this_one(self) -> None:
        days = periods.days_asked(None, None, period=Period.MONTH, today=date(2026, 12, 31))
        assert days == Days(date(2026, 1, 1), date(2027, 1, 1))

    def test_a_start_may_be_counted_back_from_a_leap_day(self) -> None:
        days = periods.days_asked(None, date(2028, 2, 29), period=Period.MONTH, today=date(2028, 6, 1))
        assert days == Days(date(2027, 2, 1), date(2028, 2, 29))

    def test_may_be_400_long(self) -> None:
        end = date(2026, 11, 22)
        assert periods.days_asked(end - timedelta(days=400), end, period=Period.DAY, today=end).end == end

    @pytest.mark.parametrize("length", [-1, 0, 401])
    def test_refuses_a_bad_range(self, length: int) -> None:
        end = date(2026, 11, 22)
        with pytest.raises(BadRange):
            periods.days_asked(end - timedelta(days=length), end, period=Period.DAY, today=end)


class TestRowsOf:
    def test_adds_up_days_and_months_newest_first(self) -> None:
        sums = [
            Sum(date(2026, 11, 30), None, Amounts(1, meters={Meter.REQUESTS: 1})),
            Sum(date(2026, 11, 30), None, Amounts(2, meters={Meter.REQUESTS: 2})),
            Sum(date(2026, 12, 1), None, Amounts(4, meters={Meter.REQUESTS: 4})),
        ]
        daily = periods.rows_of(sums, period=Period.DAY, group_by=None)
        assert [(row.start, row.amounts.events) for row in daily] == [(date(2026, 12, 1), 4), (date(2026, 11, 30), 3)]
        monthly = periods.rows_of(sums, period=Period.MONTH, group_by=None)
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
    def test_groups_by_what_is_asked(self, group_by: GroupBy, group: str | None) -> None:
        other = Dimensions("agt_2", "m", "p", "prj_1")
        sums = [Sum(AT.date(), of, Amounts(1)) for of in (DIMENSIONS, DIMENSIONS, other)]
        rows = periods.rows_of(sums, period=Period.DAY, group_by=group_by)
        assert {row.group: row.amounts.events for row in rows} == {group: 2, group_by.value_of(other): 1}


class TestRevisions:
    HOUR = datetime(2026, 11, 22, 23, tzinfo=UTC)

    @pytest.mark.parametrize("opened_at", [HOUR, HOUR + timedelta(hours=5)])
    def test_an_hour_closes_ten_minutes_after_its_end(self, opened_at: datetime) -> None:
        assert Revision(self.HOUR).closes_at(opened_at=opened_at) == self.HOUR + timedelta(hours=1, minutes=10)

    def test_a_correction_is_collected_for_ten_minutes(self) -> None:
        opened_at = self.HOUR + timedelta(days=3)
        assert Revision(self.HOUR, 1).closes_at(opened_at=opened_at) == opened_at + timedelta(minutes=10)

    @pytest.mark.parametrize(("age", "too_old"), [(timedelta(days=35), False), (timedelta(days=35, seconds=1), True)])
    def test_usage_is_taken_for_35_days(self, age: timedelta, too_old: bool) -> None:  # noqa: FBT001 — a parameter of the test
        assert hours.is_too_old(AT - age, now=AT) is too_old
