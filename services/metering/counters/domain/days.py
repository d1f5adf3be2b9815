"""Ranges of days and months, and the rows of usage in them."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum

from services.metering.counters.domain.amounts import Amounts, Dimensions
from services.metering.errors import InvalidRange

MAX_RANGE = timedelta(days=400)


@dataclass(frozen=True, slots=True)
class Days:
    """A half-open range of days."""

    start: date
    end: date

    def __contains__(self, day: date) -> bool:
        return self.start <= day < self.end

    @property
    def whole_months(self) -> "Days":
        """The whole months in this range; empty if there are none."""
        first = self.start if self.start.day == 1 else next_month(self.start)
        return Days(first, max(first, self.end.replace(day=1)))

    @property
    def around_whole_months(self) -> list["Days"]:
        """The days of the range that are not part of a whole month."""
        months = self.whole_months
        if not months:
            return [self]
        return [days for days in (Days(self.start, months.start), Days(months.end, self.end)) if days]

    @property
    def starts_at(self) -> datetime:
        """The start of the first day, inclusive."""
        return _midnight(self.start)

    @property
    def ends_at(self) -> datetime:
        """The end of the last day, exclusive."""
        return _midnight(self.end)

    def __bool__(self) -> bool:
        return self.start < self.end


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


class UsagePeriod(StrEnum):
    """The period that a row of usage covers."""

    DAY = "day"
    MONTH = "month"

    def start_of(self, day: date) -> date:
        """Return the first day of the period that contains this day."""
        return day if self is UsagePeriod.DAY else day.replace(day=1)


def requested_days(start: date | None, end: date | None, *, period: UsagePeriod, today: date) -> Days:
    """Return the requested range. The default is the last 30 days or 12 months, including the current one.

    Raises:
        InvalidRange: the range is empty, reversed or too long.
    """
    if period is UsagePeriod.DAY:
        end = end or today + timedelta(days=1)
        start = start or end - timedelta(days=30)
    else:
        end = end or next_month(today)
        start = start or end.replace(year=end.year - 1, day=1)
    check_range(end - start)
    return Days(start, end)


def month_of(day: date) -> Days:
    """Return the month that contains this day."""
    return Days(day.replace(day=1), next_month(day))


def check_range(length: timedelta) -> None:
    """Validate the length of a range.

    Raises:
        InvalidRange: the range is empty, negative or too long.
    """
    if length <= timedelta(0):
        msg = "must be before to"
        raise InvalidRange(msg)
    if length > MAX_RANGE:
        msg = f"must be at most {MAX_RANGE.days} days before to"
        raise InvalidRange(msg)


def next_month(day: date) -> date:
    """Return the first day of the next month."""
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


@dataclass(frozen=True, slots=True)
class PeriodUsage:
    """The usage of a day or of a whole month."""

    start: date
    dimensions: Dimensions | None
    """None for the total."""
    amounts: Amounts
