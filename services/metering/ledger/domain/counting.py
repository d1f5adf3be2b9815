"""Batches of entries that one transaction can count, and the counters that they increment."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from services.metering.counters.domain.amounts import OTHER, Amounts, Dimensions
from services.metering.counters.domain.counter import MAX_ROWS_PER_SHARD, HourCounter
from services.metering.counters.domain.hours import Revision, shard_of
from services.metering.ledger.domain.entries import LedgerEntry


class CountingOutcome(StrEnum):
    """The result of counting a usage event."""

    COUNTED = "counted"
    DUPLICATE = "duplicate"
    """The ledger contains the event already."""
    CONFLICT = "conflict"
    """The id exists already with different content. The event is quarantined and never counted."""
    TOO_OLD = "too_old"
    """The event is quarantined and never counted."""


@dataclass(slots=True)
class _EntryBatch:
    """The entries of one transaction."""

    entries: dict[str, LedgerEntry] = field(default_factory=dict[str, LedgerEntry])
    rows: set[tuple[datetime, Dimensions | None]] = field(default_factory=set[tuple[datetime, Dimensions | None]])
    published_months: set[str] = field(default_factory=set[str])
    """The months of the entries that need an event. Each month takes one event."""

    def has_room_for(self, entry: LedgerEntry, *, max_actions: int) -> bool:
        """Return whether the transaction has room for this entry."""
        rows = len(self.rows | _rows(entry))
        needed = len(self.entries) + 1 + rows + len(self.published_months | _published_months(entry))
        return entry.event_id not in self.entries and needed <= max_actions

    def add(self, entry: LedgerEntry) -> None:
        self.entries[entry.event_id] = entry
        self.rows |= _rows(entry)
        self.published_months |= _published_months(entry)


def _rows(entry: LedgerEntry) -> set[tuple[datetime, Dimensions | None]]:
    return {(entry.hour, None), (entry.hour, entry.dimensions)}


def _published_months(entry: LedgerEntry) -> set[str]:
    return {entry.period} if entry.needs_event else set()


def split_into_transactions(entries: Iterable[LedgerEntry], *, max_actions: int) -> list[list[LedgerEntry]]:
    """Distribute distinct entries over transactions of at most `max_actions` actions, with distinct event ids in each.

    Identical entries are included once. If two entries have the same id and different content, the second is placed in
    a later transaction, so that it finds the first one in the ledger.
    """
    batches: list[_EntryBatch] = []
    for entry in {entry.identity: entry for entry in entries}.values():
        batch = next((batch for batch in batches if batch.has_room_for(entry, max_actions=max_actions)), None)
        if batch is None:
            batches.append(batch := _EntryBatch())
        batch.add(entry)
    return [list(batch.entries.values()) for batch in batches]


def shard_of_entries(entries: Iterable[LedgerEntry], hour: datetime) -> int:
    """Return the shard of this hour that counts all of these entries, so that their transaction writes to one shard."""
    return shard_of(min(entry.event_id for entry in entries), hour.date())


@dataclass(frozen=True, slots=True)
class RowAssignment:
    """The rows that count the entries of one transaction."""

    rows: Mapping[tuple[datetime, Dimensions], Dimensions] = field(
        default_factory=dict[tuple[datetime, Dimensions], Dimensions]
    )
    """The row for an entry's hour and dimensions. A missing key means the row of the same dimensions."""
    new: frozenset[HourCounter] = frozenset()
    """The rows that do not exist yet, except `other`."""

    def row_of(self, entry: LedgerEntry) -> Dimensions:
        """Return the dimensions of the row that counts this entry."""
        return self.rows.get((entry.hour, entry.dimensions), entry.dimensions)


def candidate_rows(entries: Iterable[LedgerEntry], revisions: Mapping[datetime, Revision]) -> list[HourCounter]:
    """Return the rows by dimension that these entries would increment without a limit, in the order of the entries."""
    part = list(entries)
    shards = _shards(part)
    rows = (HourCounter(revisions[entry.hour], shards[entry.hour], entry.dimensions) for entry in part)
    return list(dict.fromkeys(rows))


def assign_rows(
    candidates: Iterable[HourCounter], *, existing: Collection[HourCounter], sizes: Mapping[HourCounter, int]
) -> RowAssignment:
    """Choose the rows that count a transaction: existing rows, new rows while the shard has room, or `other`.

    Args:
        candidates: the rows of the transaction.
        existing: those of them that are stored.
        sizes: the number of rows by dimension in each shard, by the total of the shard; a missing key means none.
    """
    rows: dict[tuple[datetime, Dimensions], Dimensions] = {}
    new: dict[HourCounter, list[HourCounter]] = {}
    for row in candidates:
        if row in existing or row.dimensions in {None, OTHER}:
            continue
        total = HourCounter(row.revision, row.shard)
        added = new.setdefault(total, [])
        if sizes.get(total, 0) + len(added) < MAX_ROWS_PER_SHARD:
            added.append(row)
        elif row.dimensions:
            rows[row.revision.hour, row.dimensions] = OTHER
    return RowAssignment(rows, frozenset(row for added in new.values() for row in added))


def increments_of(
    entries: Iterable[LedgerEntry], revisions: Mapping[datetime, Revision], assignment: RowAssignment | None = None
) -> dict[HourCounter, Amounts]:
    """Return the counters that these entries increment, each with the sum of its entries.

    Args:
        entries: the entries of one transaction.
        revisions: the revision of each hour that accepts usage.
        assignment: the rows that count the entries; by default, each entry counts in the row of its dimensions.
    """
    part, rows = list(entries), assignment or RowAssignment()
    shards = _shards(part)
    sums: dict[HourCounter, Amounts] = {}
    for entry in part:
        revision, shard = revisions[entry.hour], shards[entry.hour]
        for counter in (HourCounter(revision, shard), HourCounter(revision, shard, rows.row_of(entry))):
            sums[counter] = sums.get(counter, Amounts()).plus(entry.amounts)
    return sums


def _shards(part: Collection[LedgerEntry]) -> dict[datetime, int]:
    return {hour: shard_of_entries(part, hour) for hour in {entry.hour for entry in part}}
