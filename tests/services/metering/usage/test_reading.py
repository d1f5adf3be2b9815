"""What reading usage costs: it follows the days and groups, not the events."""

import json
import os
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any

import pytest

from services.metering.domain import periods
from services.metering.domain.hours import GRACE, HOUR
from services.metering.domain.periods import Days, GroupBy, Period, Sum
from services.metering.domain.usage import Amounts, Dimensions
from services.metering.errors import BadRange
from services.metering.operations import reading
from services.metering.table import SLICE, counters
from shared.meters import Meter
from shared.storage.store import Store
from tests.dynamodb.memory import MemoryDynamoDB
from tests.services.metering.usage import close_due, count, used

FIRST = datetime(2026, 10, 10, tzinfo=UTC)
LENGTH = 35


MANY = int(os.environ.get("READING_EVENTS", "200"))
"""Events of a day."""


@cache
def month_of_usage(events_a_day: int) -> tuple[MemoryDynamoDB, Store]:
    """35 days with so many events in each; the last hour still runs."""
    memory = MemoryDynamoDB()
    store = Store(memory, table="usage", owned=SLICE, sleep=lambda _: None)
    for day in range(LENGTH):
        for part in range(2):
            at = FIRST + timedelta(days=day, hours=11 + 12 * part)
            half = range(events_a_day * part // 2, events_a_day * (part + 1) // 2)
            count(store, *(used(f"run_{day}_{number}", at=at, agent_id=f"agt_{number % 2}") for number in half), now=at)
            if (day, part) != (LENGTH - 1, 1):
                close_due(store, now=at + HOUR + GRACE)
    return memory, store


def cost_of(memory: MemoryDynamoDB, store: Store, *, period: Period, group_by: GroupBy | None) -> tuple[int, int, int]:
    """The calls, the bytes read, and the events that were found."""
    calls, size = memory.calls, memory.bytes_read
    days = Days(FIRST.date(), FIRST.date() + timedelta(days=LENGTH))
    rows = reading.usage_of(store, "demo-org", days, period=period, group_by=group_by)
    return memory.calls - calls, memory.bytes_read - size, sum(row.amounts.events for row in rows)


@pytest.mark.parametrize("group_by", [None, GroupBy.AGENT])
@pytest.mark.parametrize("period", Period)
def test_reading_35_days_does_not_grow_with_the_events(period: Period, group_by: GroupBy | None) -> None:
    few, many = month_of_usage(4), month_of_usage(MANY)
    calls, size, found = cost_of(*few, period=period, group_by=group_by)
    calls_of_many, size_of_many, found_of_many = cost_of(*many, period=period, group_by=group_by)
    assert (found, found_of_many) == (4 * LENGTH, MANY * LENGTH)
    assert calls == calls_of_many <= 7
    # The same items; only their numbers are longer.
    assert size_of_many <= size * 1.25 < 60_000


def test_the_hours_that_are_not_closed_are_added() -> None:
    _, store = month_of_usage(4)
    assert [one.revision.hour.date() for one in counters.list_opened(store, "demo-org")] == [date(2026, 11, 13)]
    days = Days(date(2026, 11, 13), date(2026, 11, 14))
    [row] = reading.usage_of(store, "demo-org", days, period=Period.DAY, group_by=None)
    assert row.amounts.events == 4


class ClosedMeanwhile(MemoryDynamoDB):
    """A closer rolls up all hours at one moment of a reader's work."""

    def __init__(self) -> None:
        super().__init__()
        self.close_before_call: int | None = None

    def query(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """A page, perhaps after the closer's work."""
        if self.close_before_call is not None:
            self.close_before_call -= 1
            if self.close_before_call < 0:
                self.close_before_call = None
                close_due(Store(self, table="usage", owned=SLICE), now=FIRST + timedelta(days=2))
        return super().query(**arguments)


@pytest.mark.parametrize("group_by", [None, GroupBy.AGENT])
@pytest.mark.parametrize("moment", range(8))
def test_an_hour_that_is_rolled_up_meanwhile_is_seen_once(moment: int, group_by: GroupBy | None) -> None:
    memory = ClosedMeanwhile()
    store = Store(memory, table="usage", owned=SLICE, sleep=lambda _: None)
    count(store, *(used(f"run_{number}", at=FIRST, agent_id=f"agt_{number}") for number in range(60)))
    memory.close_before_call = moment
    days = Days(FIRST.date(), FIRST.date() + timedelta(days=1))
    rows = reading.usage_of(store, "demo-org", days, period=Period.DAY, group_by=group_by)
    assert sum(row.amounts.events for row in rows) == 60


class TestBounds:
    """A grouped answer fits into a response and into memory, whatever a tenant has reported."""

    DAYS = tuple(FIRST.date() + timedelta(days=number) for number in range(400))

    def test_shows_the_groups_that_used_most_and_the_others_together(self) -> None:
        sums = [
            Sum(day, Dimensions(model=f"model-{number}"), Amounts(1, meters={Meter.TOKENS_IN: number}))
            for day in self.DAYS[:100]
            for number in range(400)
        ]
        found = periods.rows_of(sums, period=Period.DAY, group_by=GroupBy.MODEL)
        assert sum(row.amounts.events for row in found) == len(sums)
        groups = {row.group for row in found}
        assert {"model-399", "other"} < groups
        assert "model-0" not in groups
        assert {len([row for row in found if row.start == day]) for day in self.DAYS[:100]} == {len(groups)}

    def test_fits_into_a_response_however_long_the_names_are(self) -> None:
        sums = [
            Sum(day, Dimensions(model="\x00" * 250 + str(number)), Amounts(1))
            for day in self.DAYS
            for number in range(30)
        ]
        found = periods.rows_of(sums, period=Period.DAY, group_by=GroupBy.MODEL)
        all_meters = {meter: 10**20 for meter in Meter}
        shown = [{"date": str(row.start), "model": row.group, "meters": all_meters, "cost": 10**20} for row in found]
        assert len(json.dumps(shown)) < 6_000_000
        assert sum(row.amounts.events for row in found) == len(sums)

    def test_adds_up_a_bounded_number_of_rows(self) -> None:
        names = (f"model-{number}" for number in range(periods.MAX_CELLS + 1_000))
        sums = (Sum(self.DAYS[0], Dimensions(model=name), Amounts(1)) for name in names)
        found = periods.rows_of(sums, period=Period.DAY, group_by=GroupBy.MODEL)
        assert sum(row.amounts.events for row in found) == periods.MAX_CELLS + 1_000

    def test_all_groups_are_shown_where_they_fit(self) -> None:
        sums = [
            Sum(day, Dimensions(model=f"model-{number}"), Amounts(1)) for day in self.DAYS[:30] for number in range(200)
        ]
        found = periods.rows_of(sums, period=Period.DAY, group_by=GroupBy.MODEL)
        assert len(found) == len(sums)

    def test_more_rows_than_can_be_read_in_time_are_refused_with_the_way_out(self) -> None:
        with pytest.raises(BadRange) as refused:
            list(reading.limited(range(11), most=10))
        assert "ask for fewer days" in refused.value.details[0].message
        assert list(reading.limited(range(10), most=10)) == list(range(10))
