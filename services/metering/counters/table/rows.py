"""The counters of hours: finding the rows by dimension, reading them in order, and closing them for usage."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from heapq import merge
from itertools import groupby
from typing import cast

from services.metering.counters.domain.amounts import OTHER, Amounts, Dimensions, dimensions_key
from services.metering.counters.domain.counter import HourCounter
from services.metering.counters.domain.hours import Revision, hour_to_text
from services.metering.counters.table.attributes import AMOUNTS, DIMENSIONS
from services.metering.partitions import RETENTION
from shared.storage.items import Key, Value
from shared.storage.table import TenantRows, setting
from shared.storage.transaction import Expression
from shared.times import epoch

ACCEPTS_USAGE = Expression("attribute_exists(PK) AND attribute_not_exists(#closed)")

_MAX_SEEN = 20_000
"""The limit of rows that a container remembers, about 5 MB."""


class SeenRows:
    """The rows that this container knows to exist. A row exists until usage of its hour is too old to be counted."""

    def __init__(self) -> None:
        self._keys: set[Key] = set()

    def __contains__(self, key: Key) -> bool:
        return key in self._keys

    def add(self, keys: Iterable[Key]) -> None:
        """Remember these rows. If the limit is exceeded, all others are forgotten."""
        added = set(keys)
        if len(self._keys) + len(added) > _MAX_SEEN:
            self._keys.clear()
        self._keys |= added


@dataclass(frozen=True, slots=True)
class FoundRows:
    """The existing rows of a transaction."""

    existing: frozenset[HourCounter]
    sizes: dict[HourCounter, int]
    """The number of rows in each shard, by its total. It is omitted if all rows in question are known to exist."""
    unopened: frozenset[Revision]
    """Revisions that are not opened yet."""


@dataclass(frozen=True, slots=True)
class CounterRow:
    """The amounts of one combination of dimensions in a revision, over all its shards."""

    position: str
    """The position of the row in the order in which a revision is rolled up."""
    dimensions: Dimensions
    amounts: Amounts


class HourTable(TenantRows):
    """The counters of a tenant's hours, which updates add to: totals, and rows by dimension."""

    def key(self, counter: HourCounter) -> Key:
        """Return the key of a total or of a row by dimension."""
        kind = f"DIM#{dimensions_key(counter.dimensions)}" if counter.dimensions else "TOTAL"
        return Key(self.shard(counter.revision, counter.shard), f"{_number(counter.revision)}#{kind}")

    def shard(self, revision: Revision, shard: int) -> str:
        """Return the partition of an hour's shard, which all revisions of the hour share."""
        return self.partition("HOUR", hour_to_text(revision.hour), str(shard))

    def expiry(self, revision: Revision) -> dict[str, Value]:
        """Return the attribute that expires the counters of a revision."""
        return {"ttl": epoch(revision.hour + RETENTION)}

    def totals(self, revision: Revision) -> list[Key]:
        """Return the keys of a revision's totals, one for each shard."""
        return [self.key(HourCounter(revision, shard)) for shard in revision.shards]

    def find_rows(self, wanted: Iterable[HourCounter], *, seen: SeenRows) -> FoundRows:
        """Find the rows that exist. Only rows that this container does not know yet are read."""
        keys = {self.key(row): row for row in wanted}
        unseen = [key for key, row in keys.items() if key not in seen and row.dimensions != OTHER]
        totals = {self.key(total): total for total in {_total_of(keys[key]) for key in unseen}}
        items = self.store.get_many([*unseen, *totals]) if unseen else {}
        seen.add(key for key in unseen if key in items)
        return FoundRows(
            existing=frozenset(row for key, row in keys.items() if key not in unseen or key in items),
            sizes={total: cast("int", items[key].get("rows") or 0) for key, total in totals.items() if key in items},
            unopened=frozenset(total.revision for key, total in totals.items() if key not in items),
        )

    def rows_after(self, revision: Revision, *, position: str) -> Iterator[CounterRow]:
        """Read the rows of a revision after a position, in order, with one page of each shard in memory at a time."""
        shards = [self._rows_of_shard(revision, shard, after=position) for shard in revision.shards]
        for row_position, group in groupby(merge(*shards, key=lambda row: row.position), key=lambda row: row.position):
            shard_rows = list(group)
            amounts = reduce(Amounts.plus, (row.amounts for row in shard_rows))
            yield CounterRow(row_position, shard_rows[0].dimensions, amounts)

    def _rows_of_shard(self, revision: Revision, shard: int, *, after: str) -> Iterator[CounterRow]:
        prefix = f"{_number(revision)}#DIM#"
        # Positions are hexadecimal digits, which sort before the tilde.
        for item in self.items_between(self.shard(revision, shard), prefix + after, f"{prefix}~"):
            position = str(item["SK"]).removeprefix(prefix)
            if position > after:
                yield CounterRow(position, DIMENSIONS.decode(item), AMOUNTS.decode(item))

    def read_totals(self, revisions: Iterable[Revision]) -> dict[Revision, Amounts]:
        """Return the total of each revision over all its shards."""
        keys = {key: revision for revision in revisions for key in self.totals(revision)}
        totals = dict.fromkeys(keys.values(), Amounts())
        for key, item in self.store.get_many(list(keys)).items():
            totals[keys[key]] = totals[keys[key]].plus(AMOUNTS.decode(item))
        return totals

    def revision_after(self, closed: Revision) -> Revision:
        """Return the revision that accepts usage after a closed one. It may have to be opened."""
        last, is_closed = self.newest_revision(closed.hour) or (closed, True)
        return last.next if is_closed else last

    def newest_revision(self, hour: datetime) -> tuple[Revision, bool] | None:
        """Return the newest revision of this hour, and whether it is closed; None if the hour has no counters."""
        condition = Expression("#PK = :pk", {"pk": self.shard(Revision(hour), 0)})
        for item in self.store.query(condition, newest_first=True, limit=1).items:
            return Revision(hour, int(str(item["SK"]).partition("#")[0])), bool(item.get("closed"))
        return None

    def close(self, revision: Revision) -> None:
        """Close a revision for usage on all its shards at once. Closing it again has no effect."""
        transaction = self.transaction()
        for total in self.totals(revision):
            transaction.update(total, setting({"closed": True}), when=ACCEPTS_USAGE)
        self.store.try_commit(transaction)


def _total_of(row: HourCounter) -> HourCounter:
    return HourCounter(row.revision, row.shard)


def _number(revision: Revision) -> str:
    """Return the number of a revision with leading zeros, so that keys sort by number."""
    return f"{revision.number:04}"
