"""The rules of usage."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.metering import domain
from services.metering.domain import Amounts, Counter, Days, Dimensions, GroupBy, Period
from services.metering.errors import BadRange
from shared.meters import Meter
from tests.services.metering.usage import AT, used

DIMENSIONS = Dimensions("agt_1", "gpt-4", "simulated", None)


class TestEntryOf:
    def test_leaves_out_meters_that_are_zero(self) -> None:
        entry = domain.entry_of(used(meters={Meter.REQUESTS: 1, Meter.TOKENS_IN: 0}))
        assert entry.meters == {Meter.REQUESTS: 1}

    def test_hashes_the_same_content_to_the_same(self) -> None:
        again = used(meters={Meter.TOKENS_OUT: 30, Meter.TOKENS_IN: 12, Meter.REQUESTS: 1, Meter.COMPUTE_MS: 0})
        assert domain.entry_of(used()).content_hash == domain.entry_of(again).content_hash

    def test_hash_does_not_depend_on_the_trace(self) -> None:
        traced = used().model_copy(update={"trace_id": "1-abc"})
        assert domain.entry_of(used()).content_hash == domain.entry_of(traced).content_hash

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
    def test_hashes_other_content_to_another(self, other: "domain.Event[domain.UsageRecorded]") -> None:
        assert domain.entry_of(used()).content_hash != domain.entry_of(other).content_hash


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
        assert domain.hour_of(moment).isoformat() == hour.isoformat()

    @settings(deadline=None)  # a busy machine is no failure
    @given(st.text(min_size=1), st.datetimes(timezones=st.just(UTC), min_value=datetime(2026, 1, 1)))  # noqa: DTZ001 — hypothesis wants it naive
    def test_a_shard_is_one_of_its_day(self, event_id: str, moment: datetime) -> None:
        hour = domain.hour_of(moment)
        shard = domain.shard_of(event_id, hour)
        assert 0 <= shard < domain.shards_of(hour.date())
        assert shard == domain.shard_of(event_id, hour)

    def test_shards_share_the_work(self) -> None:
        shards = {domain.shard_of(f"run_{number}:1:1", AT) for number in range(100)}
        assert shards == set(range(domain.shards_of(AT.date())))


class TestInParts:
    def test_takes_an_entry_that_is_there_twice_once(self) -> None:
        entry = domain.entry_of(used())
        assert domain.in_parts([entry, entry], size=30) == [[entry]]

    def test_puts_other_content_of_an_id_into_a_later_part(self) -> None:
        first, second = domain.entry_of(used()), domain.entry_of(used(cost_nano_usd=1))
        third = domain.entry_of(used("run_2"))
        assert domain.in_parts([first, second, third], size=30) == [[first, third], [second]]

    def test_cuts_where_a_part_is_full(self) -> None:
        entries = [domain.entry_of(used(f"run_{number}")) for number in range(5)]
        assert [len(part) for part in domain.in_parts(entries, size=2)] == [2, 2, 1]


class TestRaisedBy:
    def test_adds_up_what_touches_the_same_counter(self) -> None:
        entries = [domain.entry_of(used(f"run_{number}", cost_nano_usd=number or None)) for number in range(50)]
        raised = domain.raised_by(entries)
        totals = [amounts for counter, amounts in raised.items() if counter.dimensions is None]
        assert sum(amounts.events for amounts in totals) == 50
        assert sum(amounts.unpriced for amounts in totals) == 1
        assert sum(amounts.priced_nano_usd for amounts in totals) == sum(range(50))
        assert sum(amounts.meters[Meter.TOKENS_OUT] for amounts in totals) == 50 * 30
        assert len(raised) == 2 * domain.shards_of(AT.date())

    def test_cost_is_unknown_when_no_event_had_a_price(self) -> None:
        assert Amounts(events=2, unpriced=2).cost_nano_usd is None
        assert Amounts(events=2, unpriced=1).cost_nano_usd == 0


class TestDays:
    @settings(deadline=None)
    @given(st.dates(date(2020, 1, 1), date(2030, 1, 1)), st.integers(1, 400))
    def test_months_are_the_same_days(self, start: date, length: int) -> None:
        days = Days(start, start + timedelta(days=length))
        parts = list(days.by_month())
        assert parts[0].start == days.start
        assert parts[-1].end == days.end
        assert [part.end for part in parts[:-1]] == [part.start for part in parts[1:]]
        for part in parts:
            last = part.end - timedelta(days=1)
            assert (part.start.year, part.start.month) == (last.year, last.month)

    def test_default_to_the_last_30_days_with_today(self) -> None:
        days = domain.days_asked(None, None, period=Period.DAY, today=date(2026, 11, 22))
        assert days == Days(date(2026, 10, 24), date(2026, 11, 23))

    def test_default_to_the_last_12_months_with_this_one(self) -> None:
        days = domain.days_asked(None, None, period=Period.MONTH, today=date(2026, 12, 31))
        assert days == Days(date(2026, 1, 1), date(2027, 1, 1))

    def test_a_start_may_be_counted_back_from_a_leap_day(self) -> None:
        days = domain.days_asked(None, date(2028, 2, 29), period=Period.MONTH, today=date(2028, 6, 1))
        assert days == Days(date(2027, 2, 1), date(2028, 2, 29))

    def test_may_be_400_long(self) -> None:
        end = date(2026, 11, 22)
        assert domain.days_asked(end - timedelta(days=400), end, period=Period.DAY, today=end).end == end

    @pytest.mark.parametrize("length", [-1, 0, 401])
    def test_refuses_a_bad_range(self, length: int) -> None:
        end = date(2026, 11, 22)
        with pytest.raises(BadRange):
            domain.days_asked(end - timedelta(days=length), end, period=Period.DAY, today=end)


class TestRowsOf:
    def test_adds_up_days_and_months_newest_first(self) -> None:
        counted = [
            (Counter(datetime(2026, 11, 30, 23, tzinfo=UTC), 0), Amounts(1, meters={Meter.REQUESTS: 1})),
            (Counter(datetime(2026, 11, 30, 0, tzinfo=UTC), 1), Amounts(2, meters={Meter.REQUESTS: 2})),
            (Counter(datetime(2026, 12, 1, 0, tzinfo=UTC), 1), Amounts(4, meters={Meter.REQUESTS: 4})),
        ]
        daily = domain.rows_of(counted, period=Period.DAY, group_by=None)
        assert [(row.start, row.amounts.events) for row in daily] == [(date(2026, 12, 1), 4), (date(2026, 11, 30), 3)]
        monthly = domain.rows_of(counted, period=Period.MONTH, group_by=None)
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
        counted = [(Counter(AT, 0, of), Amounts(1)) for of in (DIMENSIONS, DIMENSIONS, other)]
        rows = domain.rows_of(counted, period=Period.DAY, group_by=group_by)
        assert {row.group: row.amounts.events for row in rows} == {group: 2, group_by.value_of(other): 1}
