"""Days and months that are asked for, and the rows that answer."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum

from services.metering.domain.usage import Amounts, Dimensions
from services.metering.errors import BadRange

LONGEST_RANGE = timedelta(days=400)


@dataclass(frozen=True, slots=True)
class Days:
    """A half-open range of days."""

    start: date
    end: date

    def __contains__(self, day: date) -> bool:
        return self.start <= day < self.end

    @property
    def whole_months(self) -> "Days":
        """The months that lie in it completely; empty when none does."""
        first = self.start if self.start.day == 1 else next_month(self.start)
        return Days(first, max(first, self.end.replace(day=1)))

    @property
    def around_whole_months(self) -> list["Days"]:
        """The days that are in no such month."""
        months = self.whole_months
        if not months:
            return [self]
        return [days for days in (Days(self.start, months.start), Days(months.end, self.end)) if days]

    @property
    def starts_at(self) -> datetime:
        """The moment that it begins with."""
        return _midnight(self.start)

    @property
    def ends_at(self) -> datetime:
        """The moment that it ends before."""
        return _midnight(self.end)

    def __bool__(self) -> bool:
        return self.start < self.end


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


class Period(StrEnum):
    """What a row of usage covers."""

    DAY = "day"
    MONTH = "month"

    def start_of(self, day: date) -> date:
        """The first day of the period that this day lies in."""
        return day if self is Period.DAY else day.replace(day=1)


class GroupBy(StrEnum):
    """What rows of usage can be broken down by."""

    AGENT = "agent"
    MODEL = "model"
    PROVIDER = "provider"
    PROJECT = "project"

    def value_of(self, dimensions: Dimensions) -> str | None:
        """The value of these dimensions."""
        return {
            GroupBy.AGENT: dimensions.agent_id,
            GroupBy.MODEL: dimensions.model,
            GroupBy.PROVIDER: dimensions.provider,
            GroupBy.PROJECT: dimensions.project_id,
        }[self]


def days_asked(start: date | None, end: date | None, *, period: Period, today: date) -> Days:
    """The range that is asked for; the default are the last 30 days or 12 months, with the current one.

    Raises:
        BadRange: it is empty, runs backwards or is too long.
    """
    if period is Period.DAY:
        end = end or today + timedelta(days=1)
        start = start or end - timedelta(days=30)
    else:
        end = end or next_month(today)
        start = start or end.replace(year=end.year - 1, day=1)
    check_range(end - start)
    return Days(start, end)


def month_of(day: date) -> Days:
    """The month that this day lies in."""
    return Days(day.replace(day=1), next_month(day))


def check_range(length: timedelta) -> None:
    """Let a range of this length pass.

    Raises:
        BadRange: it is empty, negative or too long.
    """
    if length <= timedelta(0):
        msg = "must be before to"
        raise BadRange(msg)
    if length > LONGEST_RANGE:
        msg = f"must be at most {LONGEST_RANGE.days} days before to"
        raise BadRange(msg)


def next_month(day: date) -> date:
    """The first day of the month after this day's."""
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


@dataclass(frozen=True, slots=True)
class Sum:
    """What was counted in a day, or in a whole month."""

    start: date
    dimensions: Dimensions | None
    """None: the total."""
    amounts: Amounts


@dataclass(frozen=True, slots=True)
class Row:
    """The usage of one period, or of one group in it."""

    start: date
    group: str | None
    """None also when it is of no group, for example of no project."""
    amounts: Amounts


def rows_of(sums: Iterable[Sum], *, period: Period, group_by: GroupBy | None) -> list[Row]:
    """Sums added up by period and group, the newest period first; without any event there is no row."""
    added: dict[tuple[date, str | None], Amounts] = {}
    for one in sums:
        group = group_by.value_of(one.dimensions) if group_by and one.dimensions else None
        key = (period.start_of(one.start), group)
        added[key] = added.get(key, Amounts()).plus(one.amounts)
    found = [Row(start, group, amounts) for (start, group), amounts in added.items() if amounts.events]
    by_group = sorted(found, key=lambda row: (row.group is None, row.group or ""))
    return sorted(by_group, key=lambda row: row.start, reverse=True)
