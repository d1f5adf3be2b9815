"""Saying what was used."""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TypeVar

from services.metering.domain import periods
from services.metering.domain.periods import Days, GroupBy, Period, Row, Sum
from services.metering.domain.usage import Amounts
from services.metering.errors import BadRange, BusyClosing
from services.metering.table import counters, rollups
from services.metering.table.counters import Opened
from services.metering.table.rows import rows_after
from shared.deadline import remaining_s
from shared.storage.store import Store

_TRIES = 5

MAX_ROWS_READ = 200_000
"""Rows that one answer is made of, some ten seconds of reading. A day has at most 1,000 rows by dimensions."""

RowT = TypeVar("RowT")


def usage_of(store: Store, tenant_id: str, days: Days, *, period: Period, group_by: GroupBy | None) -> list[Row]:
    """The tenant's usage in these days by period and group, the newest first.

    It is the sum of what is rolled up and of the revisions that are not; read again when one was rolled up meanwhile,
    so that nothing is seen twice or not at all.

    Raises:
        BadRange: the days have too many rows by dimensions.
        BusyClosing: that happened each time.
    """
    by_dimensions = group_by is not None
    for _ in range(_TRIES):
        opened = counters.list_opened(store, tenant_id)
        sums = chain(
            _rolled_up(store, tenant_id, days, period=period, by_dimensions=by_dimensions),
            _not_rolled_up(store, tenant_id, days, opened, by_dimensions=by_dimensions),
        )
        found = periods.rows_of(limited(sums), period=period, group_by=group_by)
        if set(opened) <= set(counters.list_opened(store, tenant_id)):
            return found
        if remaining_s() <= 0:
            break
    raise BusyClosing


def limited(rows: Iterable[RowT], *, most: int = MAX_ROWS_READ) -> Iterator[RowT]:
    """Pass rows on as they are read.

    Raises:
        BadRange: there are too many for one answer.
    """
    for number, row in enumerate(rows, 1):
        if number > most:
            msg = f"must be later: these days have more than {most:,} rows; ask for fewer days"
            raise BadRange(msg)
        yield row


def month_so_far(store: Store, tenant_id: str, month: Days) -> Amounts:
    """All that the tenant has used in a month.

    Raises:
        BusyClosing: as `usage_of`.
    """
    rows = usage_of(store, tenant_id, month, period=Period.MONTH, group_by=None)
    return rows[0].amounts if rows else Amounts()


def _rolled_up(store: Store, tenant_id: str, days: Days, *, period: Period, by_dimensions: bool) -> Iterator[Sum]:
    if period is Period.DAY:
        yield from rollups.read_days(store, tenant_id, days, by_dimensions=by_dimensions)
        return
    if months := days.whole_months:
        yield from rollups.read_months(store, tenant_id, months, by_dimensions=by_dimensions)
    for part in days.around_whole_months:
        yield from rollups.read_days(store, tenant_id, part, by_dimensions=by_dimensions)


def _not_rolled_up(
    store: Store, tenant_id: str, days: Days, opened: list[Opened], *, by_dimensions: bool
) -> Iterator[Sum]:
    asked = [one for one in opened if one.revision.hour.date() in days]
    if not by_dimensions:
        totals = counters.read_totals(store, tenant_id, [one.revision for one in asked])
        yield from (Sum(revision.hour.date(), None, amounts) for revision, amounts in totals.items())
        return
    for one in asked:
        for row in rows_after(store, tenant_id, one.revision, place=one.rolled_up):
            yield Sum(one.revision.hour.date(), row.dimensions, row.amounts)
