"""What one transaction counts: entries that fit together, and the counters that they raise."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from services.metering.domain.hours import Revision, shard_of
from services.metering.domain.usage import Amounts, Dimensions, Entry


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
    announced: int = 0

    def takes(self, entry: Entry, *, actions: int) -> bool:
        """Whether it has room for this entry."""
        rows = len(self.rows | _rows(entry))
        needed = len(self.entries) + 1 + rows + self.announced + entry.is_announced
        return entry.event_id not in self.entries and needed <= actions

    def add(self, entry: Entry) -> None:
        """Take this entry in."""
        self.entries[entry.event_id] = entry
        self.rows |= _rows(entry)
        self.announced += entry.is_announced


def _rows(entry: Entry) -> set[tuple[datetime, Dimensions | None]]:
    return {(entry.hour, None), (entry.hour, entry.dimensions)}


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


def raised_by(entries: Iterable[Entry], revisions: Mapping[datetime, Revision]) -> dict[Counter, Amounts]:
    """The counters that these entries raise together, each with the sum.

    Args:
        entries: of one part.
        revisions: by hour, the one that takes usage.
    """
    part = list(entries)
    shards = {hour: shard_of_part(part, hour) for hour in {entry.hour for entry in part}}
    raised: dict[Counter, Amounts] = {}
    for entry in part:
        revision, shard = revisions[entry.hour], shards[entry.hour]
        for counter in (Counter(revision, shard), Counter(revision, shard, entry.dimensions)):
            raised[counter] = raised.get(counter, Amounts()).plus(entry.amounts)
    return raised
