"""What one transaction counts: entries that fit together, and the counters that they raise."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from services.metering.domain.hours import Revision, shard_of
from services.metering.domain.usage import OTHER, Amounts, Dimensions, Entry

MAX_ROWS_PER_SHARD = 250
"""Rows by dimensions of one shard of an hour's revision: with four shards 1,000 a tenant and hour. A shard counts what
exceeds them in its row `other`, which is not one of them."""


class Outcome(StrEnum):
    """What became of a usage event."""

    COUNTED = "counted"
    DUPLICATE = "duplicate"
    """The ledger has it already."""
    CONFLICT = "conflict"
    """Its id is taken by other content; kept aside, never counted."""
    TOO_OLD = "too_old"
    """Kept aside, never counted."""


@dataclass(frozen=True, slots=True)
class Counter:
    """What is counted together: an hour's revision in a shard, as a whole or of some dimensions."""

    revision: Revision
    shard: int
    dimensions: Dimensions | None = None
    """None: the total, which also is the fence of its revision and shard."""


@dataclass(slots=True)
class _Part:
    """Entries of one transaction."""

    entries: dict[str, Entry] = field(default_factory=dict[str, Entry])
    rows: set[tuple[datetime, Dimensions | None]] = field(default_factory=set[tuple[datetime, Dimensions | None]])
    announced: set[str] = field(default_factory=set[str])
    """The months of entries that are announced: an event for each."""

    def takes(self, entry: Entry, *, actions: int) -> bool:
        """Whether it has room for this entry."""
        rows = len(self.rows | _rows(entry))
        needed = len(self.entries) + 1 + rows + len(self.announced | _announced(entry))
        return entry.event_id not in self.entries and needed <= actions

    def add(self, entry: Entry) -> None:
        """Take this entry in."""
        self.entries[entry.event_id] = entry
        self.rows |= _rows(entry)
        self.announced |= _announced(entry)


def _rows(entry: Entry) -> set[tuple[datetime, Dimensions | None]]:
    return {(entry.hour, None), (entry.hour, entry.dimensions)}


def _announced(entry: Entry) -> set[str]:
    return {entry.period} if entry.is_announced else set()


def in_parts(entries: Iterable[Entry], *, actions: int) -> list[list[Entry]]:
    """The different entries in parts that each take at most so many actions, and in which no event id stands twice.

    An entry that is there twice is taken once. Of two with one id and different contents the second comes in a later
    part, so that it meets the first one in the ledger.
    """
    parts: list[_Part] = []
    for entry in {entry.identity: entry for entry in entries}.values():
        part = next((part for part in parts if part.takes(entry, actions=actions)), None)
        if part is None:
            parts.append(part := _Part())
        part.add(entry)
    return [list(part.entries.values()) for part in parts]


def shard_of_part(entries: Iterable[Entry], hour: datetime) -> int:
    """The shard of this hour that counts all of these, so that one transaction touches one."""
    return shard_of(min(entry.event_id for entry in entries), hour.date())


@dataclass(frozen=True, slots=True)
class Allotment:
    """The rows that count the entries of a part."""

    rows: Mapping[tuple[datetime, Dimensions], Dimensions] = field(
        default_factory=dict[tuple[datetime, Dimensions], Dimensions]
    )
    """By the hour and the dimensions of an entry; without an entry here it is the row of the same dimensions."""
    new: frozenset[Counter] = frozenset()
    """Those of these rows that do not exist yet, without `other`."""

    def row_of(self, entry: Entry) -> Dimensions:
        """Return the dimensions of the row that counts this entry."""
        return self.rows.get((entry.hour, entry.dimensions), entry.dimensions)


def rows_of_part(entries: Iterable[Entry], revisions: Mapping[datetime, Revision]) -> list[Counter]:
    """Return the rows by dimensions that these entries would raise if each had one, in the order of the entries."""
    part = list(entries)
    shards = _shards(part)
    rows = (Counter(revisions[entry.hour], shards[entry.hour], entry.dimensions) for entry in part)
    return list(dict.fromkeys(rows))


def allot(wanted: Iterable[Counter], *, existing: Collection[Counter], sizes: Mapping[Counter, int]) -> Allotment:
    """Choose the rows that count a part: those that exist, new ones as long as the shard takes any, or `other`.

    Args:
        wanted: the rows of the part.
        existing: those of them that are stored.
        sizes: by the total of a shard, how many rows by dimensions it has; missing is none.
    """
    rows: dict[tuple[datetime, Dimensions], Dimensions] = {}
    new: dict[Counter, list[Counter]] = {}
    for row in wanted:
        if row in existing or row.dimensions in {None, OTHER}:
            continue
        total = Counter(row.revision, row.shard)
        added = new.setdefault(total, [])
        if sizes.get(total, 0) + len(added) < MAX_ROWS_PER_SHARD:
            added.append(row)
        elif row.dimensions:
            rows[row.revision.hour, row.dimensions] = OTHER
    return Allotment(rows, frozenset(row for added in new.values() for row in added))


def raised_by(
    entries: Iterable[Entry], revisions: Mapping[datetime, Revision], allotment: Allotment | None = None
) -> dict[Counter, Amounts]:
    """The counters that these entries raise together, each with the sum.

    Args:
        entries: of one part.
        revisions: by hour, the one that takes usage.
        allotment: the rows that count them; each in the row of its dimensions by default.
    """
    part, rows = list(entries), allotment or Allotment()
    shards = _shards(part)
    raised: dict[Counter, Amounts] = {}
    for entry in part:
        revision, shard = revisions[entry.hour], shards[entry.hour]
        for counter in (Counter(revision, shard), Counter(revision, shard, rows.row_of(entry))):
            raised[counter] = raised.get(counter, Amounts()).plus(entry.amounts)
    return raised


def _shards(part: Collection[Entry]) -> dict[datetime, int]:
    return {hour: shard_of_part(part, hour) for hour in {entry.hour for entry in part}}
