"""Reading usage from the counters."""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TypeVar

from services.metering.counters.domain.amounts import Amounts
from services.metering.counters.domain.days import Days, PeriodUsage, UsagePeriod
from services.metering.counters.table.revisions import OpenRevision, OpenRevisionTable
from services.metering.counters.table.rollups import RollUpTable
from services.metering.counters.table.rows import HourTable
from services.metering.errors import HoursClosing, InvalidRange
from services.metering.usage import domain
from services.metering.usage.domain import GroupBy, UsageRow
from shared.deadline import remaining_s
from shared.storage.store import Store

_MAX_ATTEMPTS = 5

MAX_ROWS_READ = 200_000
"""The limit of rows that one response reads, about ten seconds. A day has at most 1,000 rows by dimension."""

RowT = TypeVar("RowT")


def read_usage(
    store: Store, tenant_id: str, days: Days, *, period: UsagePeriod, group_by: GroupBy | None
) -> list[UsageRow]:
    """Return the tenant's usage in these days by period and group, newest first.

    It is the sum of the rolled-up usage and of the revisions that are not rolled up. If a revision is rolled up during
    the read, the read is repeated, so that no usage is included twice or missed.

    Raises:
        InvalidRange: the days have too many rows by dimension.
        HoursClosing: a revision was rolled up during every attempt.
    """
    by_dimensions, opened = group_by is not None, OpenRevisionTable(store, tenant_id)
    for _ in range(_MAX_ATTEMPTS):
        open_revisions = list(opened.all())
        sums = chain(
            _rolled_up(store, tenant_id, days, period=period, by_dimensions=by_dimensions),
            _not_rolled_up(store, tenant_id, days, open_revisions, by_dimensions=by_dimensions),
        )
        rows = domain.sum_usage(limit_rows(sums), period=period, group_by=group_by)
        if set(open_revisions) <= set(opened.all()):
            return rows
        if remaining_s() <= 0:
            break
    raise HoursClosing


def limit_rows(rows: Iterable[RowT], *, limit: int = MAX_ROWS_READ) -> Iterator[RowT]:
    """Yield the rows up to a limit.

    Raises:
        InvalidRange: there are more rows than one response may read.
    """
    for number, row in enumerate(rows, 1):
        if number > limit:
            msg = f"must be later: these days have more than {limit:,} rows; ask for fewer days"
            raise InvalidRange(msg)
        yield row


def month_so_far(store: Store, tenant_id: str, month: Days) -> Amounts:
    """Return the tenant's total usage in a month.

    Raises:
        HoursClosing: see `read_usage`.
    """
    rows = read_usage(store, tenant_id, month, period=UsagePeriod.MONTH, group_by=None)
    return rows[0].amounts if rows else Amounts()


def _rolled_up(
    store: Store, tenant_id: str, days: Days, *, period: UsagePeriod, by_dimensions: bool
) -> Iterator[PeriodUsage]:
    roll_ups = RollUpTable(store, tenant_id)
    if period is UsagePeriod.DAY:
        yield from roll_ups.read_days(days, by_dimensions=by_dimensions)
        return
    if months := days.whole_months:
        yield from roll_ups.read_months(months, by_dimensions=by_dimensions)
    for part in days.around_whole_months:
        yield from roll_ups.read_days(part, by_dimensions=by_dimensions)


def _not_rolled_up(
    store: Store, tenant_id: str, days: Days, open_revisions: list[OpenRevision], *, by_dimensions: bool
) -> Iterator[PeriodUsage]:
    hours = HourTable(store, tenant_id)
    in_range = [opened for opened in open_revisions if opened.revision.hour.date() in days]
    if not by_dimensions:
        totals = hours.read_totals([opened.revision for opened in in_range])
        yield from (PeriodUsage(revision.hour.date(), None, amounts) for revision, amounts in totals.items())
        return
    for opened in in_range:
        for row in hours.rows_after(opened.revision, position=opened.rolled_up):
            yield PeriodUsage(opened.revision.hour.date(), row.dimensions, row.amounts)
