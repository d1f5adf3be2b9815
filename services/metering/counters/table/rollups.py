"""Roll-ups: closed hours, and the days and months that contain them."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import Any

from services.metering.counters.domain.amounts import OTHER, Amounts, Dimensions, dimensions_key
from services.metering.counters.domain.days import Days, PeriodUsage
from services.metering.counters.domain.hours import Revision, archive_due_at, hour_to_text
from services.metering.counters.domain.rollup import PeriodIncrement, PeriodRows, RollUp, RollUpBatch
from services.metering.counters.table.attributes import AMOUNTS, DIMENSIONS
from services.metering.counters.table.revisions import OpenRevision, OpenRevisionTable
from services.metering.partitions import SLICE
from shared.events.envelope import Event
from shared.storage.due import DueIndex
from shared.storage.items import Item, Key, Value
from shared.storage.table import TenantRows, adding, setting
from shared.storage.transaction import Expression, Transaction, refuse_with
from shared.times import to_text

ARCHIVE = DueIndex(SLICE, "ARCHIVE")
"""By the time at which a day can be archived."""
MONTHS = DueIndex(SLICE, "MONTH")
"""By month, which finds the tenants with usage in a month. Nothing is due by it."""


class RowsAdded(Exception):
    """Another roll-up added rows to the same day or month, so the existing rows must be read again."""


class RollUpTable(TenantRows):
    """The closed hours, days and months of a tenant, which updates add to: totals, and rows by dimension."""

    def hour_key(self, hour: datetime) -> Key:
        """Return the key of a closed hour."""
        return Key(self.partition("HOURS"), hour_to_text(hour))

    def day_key(self, day: date, dimensions: Dimensions | None = None) -> Key:
        """Return the key of a day's total or of a row by dimension."""
        return Key(self.partition("DAYS"), _sort_key(str(day), dimensions))

    def month_key(self, month: date, dimensions: Dimensions | None = None) -> Key:
        """Return the key of a month's total or of a row by dimension."""
        return Key(self.partition("MONTHS"), _sort_key(f"{month:%Y-%m}", dimensions))

    def archive_due(self, day: date) -> dict[str, Value]:
        """Return the index attributes by which a day's total is due to be archived."""
        return ARCHIVE.place(archive_due_at(day), self.tenant_id, str(day))

    def read_roll_up(self, revision: Revision) -> RollUp:
        """Read the existing rows by dimension of the day and the month of a revision."""
        return RollUp(
            day=self._period_rows("DAYS", f"{revision.hour:%Y-%m-%d}"),
            month=self._period_rows("MONTHS", f"{revision.hour:%Y-%m}"),
        )

    def _period_rows(self, partition: str, period: str) -> PeriodRows:
        prefix = f"DIM#{period}#"
        items = self.items_below(self.partition(partition), prefix)
        return PeriodRows({str(item["SK"]).removeprefix(prefix) for item in items} - {dimensions_key(OTHER)})

    def add_batch(self, open_revision: OpenRevision, batch: RollUpBatch) -> OpenRevision:
        """Add the next rows of a closed revision to their day and month.

        Raises:
            RolledUpElsewhere: another process is rolling up the revision.
            RowsAdded: another roll-up added rows to the day or month.
        """
        transaction = self.transaction()
        self._add_rows(transaction, open_revision.revision, batch)
        for total, addition in self._totals(open_revision.revision, batch):
            if addition.rows_after > addition.rows_before:
                change = setting({"rows": addition.rows_after})
                transaction.update(total, change, when=_has_no_more_rows(addition), otherwise=refuse_with(RowsAdded()))
        self._open_revisions.record_progress(transaction, open_revision, rolled_up=batch.last)
        self.store.commit(transaction)
        return OpenRevision(open_revision.revision, batch.last)

    def finish(
        self,
        open_revision: OpenRevision,
        batch: RollUpBatch,
        *,
        total: Amounts,
        events: Sequence[Event[Any]],
        now: datetime,
    ) -> None:
        """Add the last rows of a closed revision, add its total to hour, day and month, and publish it.

        The record of the open revision is deleted in the same transaction.

        Raises:
            RolledUpElsewhere: another process is rolling up the revision.
            RowsAdded: another roll-up added rows to the day or month.
        """
        revision, transaction = open_revision.revision, self.transaction()
        self._add_rows(transaction, revision, batch)
        rolled_up = {"revision": revision.number, "rolled_up_at": to_text(now)}
        transaction.update(self.hour_key(revision.hour), adding(total.numbers, rolled_up))
        if total.events:
            indexed = (self.archive_due(revision.hour.date()), self._month_place(revision))
            for (key, addition), place in zip(self._totals(revision, batch), indexed, strict=True):
                has_new = addition.rows_after > addition.rows_before
                constants = {**place, "rows": addition.rows_after} if has_new else place
                when = _has_no_more_rows(addition) if has_new else None
                transaction.update(key, adding(total.numbers, constants), when=when, otherwise=refuse_with(RowsAdded()))
        self._open_revisions.remove(transaction, open_revision)
        transaction.emit(*events)
        self.store.commit(transaction)

    def publish(self, event: Event[Any]) -> None:
        """Publish an event without any other change. Publishing it again uses the same id, so consumers ignore it."""
        transaction = self.transaction()
        transaction.emit(event)
        self.store.commit(transaction)

    def read_days(self, days: Days, *, by_dimensions: bool) -> Iterator[PeriodUsage]:
        """Yield the days of the range that have closed hours: their totals, or their rows by dimension."""
        for period, item in self.rows_between("DAYS", str(days.start), str(days.end), by_dimensions=by_dimensions):
            yield _sum_of(date.fromisoformat(period), item, by_dimensions=by_dimensions)

    def read_months(self, days: Days, *, by_dimensions: bool) -> Iterator[PeriodUsage]:
        """Yield the months that start in the range and have closed hours: their totals, or their rows by dimension."""
        first, end = f"{days.start:%Y-%m}", f"{days.end:%Y-%m}"
        for period, item in self.rows_between("MONTHS", first, end, by_dimensions=by_dimensions):
            yield _sum_of(date.fromisoformat(f"{period}-01"), item, by_dimensions=by_dimensions)

    def rows_between(self, partition: str, first: str, end: str, *, by_dimensions: bool) -> Iterator[tuple[str, Item]]:
        """Yield the rows of days or months between two of them (half-open), each with the name of its period."""
        kind = "DIM" if by_dimensions else "TOTAL"
        for item in self.items_between(self.partition(partition), f"{kind}#{first}", f"{kind}#{end}"):
            period = str(item["SK"]).split("#")[1]
            if period != end:
                yield period, item

    def _add_rows(self, transaction: Transaction, revision: Revision, batch: RollUpBatch) -> None:
        for key_of, addition in ((self.day_key, batch.day), (self.month_key, batch.month)):
            for dimensions, amounts in addition.amounts.items():
                # A row is counted even if corrections have left nothing in it, so each update writes something.
                change = adding({"events": 0, **amounts.numbers}, DIMENSIONS.encode(dimensions))
                transaction.update(key_of(revision.hour.date(), dimensions), change)

    def _totals(self, revision: Revision, batch: RollUpBatch) -> tuple[tuple[Key, PeriodIncrement], ...]:
        day = revision.hour.date()
        return (self.day_key(day), batch.day), (self.month_key(day), batch.month)

    def _month_place(self, revision: Revision) -> dict[str, Value]:
        return {"due_pk": MONTHS.keys[0], "due_sk": f"{revision.hour:%Y-%m}#{self.tenant_id}"}

    @property
    def _open_revisions(self) -> OpenRevisionTable:
        return OpenRevisionTable(self.store, self.tenant_id)


def _has_no_more_rows(addition: PeriodIncrement) -> Expression:
    """Return the condition that no rows were added since they were read.

    Totals of earlier versions have no number of rows.
    """
    return Expression("attribute_not_exists(#rows) OR #rows <= :before", {"before": addition.rows_before})


def _sum_of(start: date, item: Item, *, by_dimensions: bool) -> PeriodUsage:
    return PeriodUsage(start, DIMENSIONS.decode(item) if by_dimensions else None, AMOUNTS.decode(item))


def _sort_key(period: str, dimensions: Dimensions | None) -> str:
    return f"DIM#{period}#{dimensions_key(dimensions)}" if dimensions else f"TOTAL#{period}"
