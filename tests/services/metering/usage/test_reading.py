"""Tests of reading usage, whose cost depends on days and groups and not on events."""

import json
import os
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any

import pytest

from services.metering.counters.domain.amounts import Amounts, Dimensions
from services.metering.counters.domain.days import Days, PeriodUsage, UsagePeriod
from services.metering.counters.domain.hours import GRACE_PERIOD, HOUR
from services.metering.counters.table.revisions import OpenRevisionTable
from services.metering.errors import InvalidRange
from services.metering.partitions import SLICE
from services.metering.usage import domain
from services.metering.usage import operations as reading
from services.metering.usage.domain import GroupBy
from shared.meters import LEDGER_METERS, Meter
from shared.storage.store import Store
from tests.dynamodb.memory import MemoryDynamoDB
from tests.services.metering.fixtures import close_due, count, used

FIRST = datetime(2026, 10, 10, tzinfo=UTC)
LENGTH = 35


MANY = int(os.environ.get("READING_EVENTS", "200"))
"""The number of events per day."""


@cache
def month_of_usage(events_a_day: int) -> tuple[MemoryDynamoDB, Store]:
    """Return a table with 35 days of usage, whose last hour is open."""
    memory = MemoryDynamoDB()
    store = Store(memory, table="usage", owned=SLICE, sleep=lambda _: None)
    for day in range(LENGTH):
        for part in range(2):
            at = FIRST + timedelta(days=day, hours=11 + 12 * part)
            half = range(events_a_day * part // 2, events_a_day * (part + 1) // 2)
            count(store, *(used(f"run_{day}_{number}", at=at, agent_id=f"agt_{number % 2}") for number in half), now=at)
            if (day, part) != (LENGTH - 1, 1):
                close_due(store, now=at + HOUR + GRACE_PERIOD)
    return memory, store


def cost_of(
    memory: MemoryDynamoDB, store: Store, *, period: UsagePeriod, group_by: GroupBy | None
) -> tuple[int, int, int]:
    """Return the number of calls, of bytes read, and of events."""
    calls, size = memory.calls, memory.bytes_read
    days = Days(FIRST.date(), FIRST.date() + timedelta(days=LENGTH))
    rows = reading.read_usage(store, "demo-org", days, period=period, group_by=group_by)
    return memory.calls - calls, memory.bytes_read - size, sum(row.amounts.events for row in rows)


@pytest.mark.parametrize("group_by", [None, GroupBy.AGENT])
@pytest.mark.parametrize("period", UsagePeriod)
def test_reading_35_days_does_not_depend_on_the_number_of_events(period: UsagePeriod, group_by: GroupBy | None) -> None:
    few, many = month_of_usage(4), month_of_usage(MANY)
    calls, size, found = cost_of(*few, period=period, group_by=group_by)
    calls_of_many, size_of_many, found_of_many = cost_of(*many, period=period, group_by=group_by)
    assert (found, found_of_many) == (4 * LENGTH, MANY * LENGTH)
    assert calls == calls_of_many <= 7
    # The items are the same. Only their numbers have more digits.
    assert size_of_many <= size * 1.25 < 60_000


def test_open_hours_are_included() -> None:
    _, store = month_of_usage(4)
    assert [one.revision.hour.date() for one in OpenRevisionTable(store, "demo-org").all()] == [date(2026, 11, 13)]
    days = Days(date(2026, 11, 13), date(2026, 11, 14))
    [row] = reading.read_usage(store, "demo-org", days, period=UsagePeriod.DAY, group_by=None)
    assert row.amounts.events == 4


class ClosedDuringRead(MemoryDynamoDB):
    """A table in which a closer rolls up all hours during a read."""

    def __init__(self) -> None:
        super().__init__()
        self.close_before_call: int | None = None

    def query(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """Return a page, after the closer ran in the chosen call."""
        if self.close_before_call is not None:
            self.close_before_call -= 1
            if self.close_before_call < 0:
                self.close_before_call = None
                close_due(Store(self, table="usage", owned=SLICE), now=FIRST + timedelta(days=2))
        return super().query(**arguments)


@pytest.mark.parametrize("group_by", [None, GroupBy.AGENT])
@pytest.mark.parametrize("moment", range(8))
def test_an_hour_that_is_rolled_up_concurrently_is_included_once(moment: int, group_by: GroupBy | None) -> None:
    memory = ClosedDuringRead()
    store = Store(memory, table="usage", owned=SLICE, sleep=lambda _: None)
    count(store, *(used(f"run_{number}", at=FIRST, agent_id=f"agt_{number}") for number in range(60)))
    memory.close_before_call = moment
    days = Days(FIRST.date(), FIRST.date() + timedelta(days=1))
    rows = reading.read_usage(store, "demo-org", days, period=UsagePeriod.DAY, group_by=group_by)
    assert sum(row.amounts.events for row in rows) == 60


class TestBounds:
    """The limits of a grouped response."""

    DAYS = tuple(FIRST.date() + timedelta(days=number) for number in range(400))

    def test_returns_the_largest_groups_and_the_sum_of_the_others(self) -> None:
        sums = [
            PeriodUsage(day, Dimensions(model=f"model-{number}"), Amounts(1, meters={Meter.TOKENS_IN: number}))
            for day in self.DAYS[:100]
            for number in range(400)
        ]
        found = domain.sum_usage(sums, period=UsagePeriod.DAY, group_by=GroupBy.MODEL)
        assert sum(row.amounts.events for row in found) == len(sums)
        groups = {row.group for row in found}
        assert {"model-399", "other"} < groups
        assert "model-0" not in groups
        assert {len([row for row in found if row.start == day]) for day in self.DAYS[:100]} == {len(groups)}

    def test_fits_into_a_response_with_long_names(self) -> None:
        sums = [
            PeriodUsage(day, Dimensions(model="\x00" * 250 + str(number)), Amounts(1))
            for day in self.DAYS
            for number in range(30)
        ]
        found = domain.sum_usage(sums, period=UsagePeriod.DAY, group_by=GroupBy.MODEL)
        all_meters = {meter: 10**20 for meter in LEDGER_METERS}
        shown = [{"date": str(row.start), "model": row.group, "meters": all_meters, "cost": 10**20} for row in found]
        assert len(json.dumps(shown)) < 6_000_000
        assert sum(row.amounts.events for row in found) == len(sums)

    def test_sums_a_bounded_number_of_rows(self) -> None:
        names = (f"model-{number}" for number in range(domain.MAX_SUMMED_ROWS + 1_000))
        sums = (PeriodUsage(self.DAYS[0], Dimensions(model=name), Amounts(1)) for name in names)
        found = domain.sum_usage(sums, period=UsagePeriod.DAY, group_by=GroupBy.MODEL)
        assert sum(row.amounts.events for row in found) == domain.MAX_SUMMED_ROWS + 1_000

    def test_returns_all_groups_that_fit(self) -> None:
        sums = [
            PeriodUsage(day, Dimensions(model=f"model-{number}"), Amounts(1))
            for day in self.DAYS[:30]
            for number in range(200)
        ]
        found = domain.sum_usage(sums, period=UsagePeriod.DAY, group_by=GroupBy.MODEL)
        assert len(found) == len(sums)

    def test_refuses_too_many_rows_with_advice(self) -> None:
        with pytest.raises(InvalidRange) as refused:
            list(reading.limit_rows(range(11), limit=10))
        assert "ask for fewer days" in refused.value.details[0].message
        assert list(reading.limit_rows(range(10), limit=10)) == list(range(10))
