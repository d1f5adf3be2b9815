"""Days and months that are asked for, and the rows that answer."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum

from services.metering.domain.usage import OTHER, Amounts, Dimensions
from services.metering.errors import BadRange

LONGEST_RANGE = timedelta(days=400)

MAX_CELLS = 50_000
"""Rows of an answer that are added up at most, some 50 MB; further groups are `other` from the start."""
MAX_ANSWER_BYTES = 5_000_000
"""Of grouped rows. Lambda answers with 6 MB at most.
https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""
_ROW_BYTES = 650
"""Of a row with all meters, without the name of its group."""


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
    """Sums added up by period and group, the newest period first; without any event there is no row.

    Memory and answer are bounded: where there are too many groups for one answer, those that used most tokens are
    shown, the same in every period, and the others are added up as `other`.
    """
    added: dict[_Cell, Amounts] = {}
    for one in sums:
        group = group_by.value_of(one.dimensions) if group_by and one.dimensions else None
        _add(added, (period.start_of(one.start), group), one.amounts)
    shown = _shown(added) if group_by else added
    found = [Row(start, group, amounts) for (start, group), amounts in shown.items() if amounts.events]
    by_group = sorted(found, key=lambda row: (row.group is None, row.group or ""))
    return sorted(by_group, key=lambda row: row.start, reverse=True)


_Cell = tuple[date, str | None]


def _add(added: dict[_Cell, Amounts], cell: _Cell, amounts: Amounts) -> None:
    if cell not in added and len(added) >= MAX_CELLS:
        cell = (cell[0], OTHER.model)
    added[cell] = added.get(cell, Amounts()).plus(amounts)


def _shown(cells: dict[_Cell, Amounts]) -> dict[_Cell, Amounts]:
    """Return the cells of as many groups as fit into an answer, and the others added up."""
    periods, groups = {start for start, _ in cells}, {group for _, group in cells}
    longest = max((len(json.dumps(group)) for group in groups), default=0)
    room = MAX_ANSWER_BYTES // (_ROW_BYTES + longest) // max(1, len(periods))
    if len(groups) <= room:
        return cells
    used: dict[str | None, Amounts] = {}
    for (_, group), amounts in cells.items():
        used[group] = used.get(group, Amounts()).plus(amounts)
    by_use = sorted(used, key=lambda group: (-used[group].tokens, -used[group].events, group or ""))
    kept, shown = set(by_use[: max(1, room - 1)]), dict[_Cell, Amounts]()
    for (start, group), amounts in cells.items():
        cell = (start, group if group in kept else OTHER.model)
        shown[cell] = shown.get(cell, Amounts()).plus(amounts)
    return shown
