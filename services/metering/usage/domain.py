"""Usage by period and group."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from services.metering.counters.domain.amounts import OTHER, Amounts, Dimensions
from services.metering.counters.domain.days import PeriodUsage, UsagePeriod

MAX_SUMMED_ROWS = 50_000
"""The limit of rows that a response adds up separately, about 50 MB. Further groups are added to `other` at once."""


MAX_RESPONSE_BYTES = 5_000_000
"""The limit for grouped rows. A Lambda response has at most 6 MB.
https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""


_ROW_BYTES = 650
"""The size of a row with all meters, without the name of its group."""


class GroupBy(StrEnum):
    """The dimensions by which usage can be grouped."""

    AGENT = "agent"
    MODEL = "model"
    PROVIDER = "provider"
    PROJECT = "project"

    def value_of(self, dimensions: Dimensions) -> str | None:
        """Return the value of this dimension."""
        return {
            GroupBy.AGENT: dimensions.agent_id,
            GroupBy.MODEL: dimensions.model,
            GroupBy.PROVIDER: dimensions.provider,
            GroupBy.PROJECT: dimensions.project_id,
        }[self]


@dataclass(frozen=True, slots=True)
class UsageRow:
    """The usage of one period, or of one group in it."""

    start: date
    group: str | None
    """Also None for usage without a group, for example without a project."""
    amounts: Amounts

    @property
    def position(self) -> str:
        """The position of the row in its list, for page tokens."""
        return f"{self.start}#" if self.group is None else f"{self.start}#={self.group}"


POSITION = r"[0-9]{4}-[0-9]{2}-[0-9]{2}#(=[^\x00-\x1f\x7f\ud800-\udfff]{0,500})?"
"""The regular expression of a row's position."""


def page_of_rows(
    rows: Sequence[UsageRow], *, limit: int | None, after: str | None
) -> tuple[list[UsageRow], str | None]:
    """Return a page of rows in the order of `sum_usage`, and the position of its last row if more follow.

    Rows that appear between two pages move no other row.
    """
    following = [row for row in rows if after is None or _is_after(row, after)]
    page = following[:limit]
    return page, page[-1].position if len(page) < len(following) else None


def _is_after(row: UsageRow, position: str) -> bool:
    start, _, group = position.partition("#")
    if f"{row.start}" != start:
        return f"{row.start}" < start
    return bool(group) and (row.group is None or row.group > group[1:])


def sum_usage(sums: Iterable[PeriodUsage], *, period: UsagePeriod, group_by: GroupBy | None) -> list[UsageRow]:
    """Add up usage by period and group, newest period first. Periods without events have no row.

    Memory and response size are bounded. If a response cannot contain all groups, it contains those with the most
    tokens, the same ones in every period, and the sum of the others as `other`.
    """
    grouped: dict[_RowKey, Amounts] = {}
    for period_usage in sums:
        group = group_by.value_of(period_usage.dimensions) if group_by and period_usage.dimensions else None
        _add(grouped, (period.start_of(period_usage.start), group), period_usage.amounts)
    limited = _limit_groups(grouped) if group_by else grouped
    usage_rows = [UsageRow(start, group, amounts) for (start, group), amounts in limited.items() if amounts.events]
    by_group = sorted(usage_rows, key=lambda row: (row.group is None, row.group or ""))
    return sorted(by_group, key=lambda row: row.start, reverse=True)


_RowKey = tuple[date, str | None]


def _add(grouped: dict[_RowKey, Amounts], key: _RowKey, amounts: Amounts) -> None:
    if key not in grouped and len(grouped) >= MAX_SUMMED_ROWS:
        key = (key[0], OTHER.model)
    grouped[key] = grouped.get(key, Amounts()).plus(amounts)


def _limit_groups(rows: dict[_RowKey, Amounts]) -> dict[_RowKey, Amounts]:
    """Return the groups that fit into a response, and the sum of the others."""
    periods, groups = {start for start, _ in rows}, {group for _, group in rows}
    longest = max((len(json.dumps(group)) for group in groups), default=0)
    max_groups = MAX_RESPONSE_BYTES // (_ROW_BYTES + longest) // max(1, len(periods))
    if len(groups) <= max_groups:
        return rows
    totals: dict[str | None, Amounts] = {}
    for (_, group), amounts in rows.items():
        totals[group] = totals.get(group, Amounts()).plus(amounts)
    by_size = sorted(totals, key=lambda group: (-totals[group].tokens, -totals[group].events, group or ""))
    largest, limited = set(by_size[: max(1, max_groups - 1)]), dict[_RowKey, Amounts]()
    for (start, group), amounts in rows.items():
        key = (start, group if group in largest else OTHER.model)
        limited[key] = limited.get(key, Amounts()).plus(amounts)
    return limited
