"""The rows by dimensions of an hour's revision: which exist, and what they count, in the order of their places."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import reduce
from heapq import merge
from itertools import groupby

from services.metering.domain.counting import Counter
from services.metering.domain.hours import Revision
from services.metering.domain.usage import OTHER, Amounts, Dimensions
from services.metering.table import SLICE
from services.metering.table.amounts import (
    amounts_from_item,
    dimensions_from_item,
    hour_to_text,
    place_of_dimensions,
    revision_to_text,
)
from shared.storage.items import Item, Key, Reader
from shared.storage.store import Store
from shared.storage.transaction import Expression

_MAX_SEEN = 20_000
"""Rows that a container remembers; some 5 MB."""


class SeenRows:
    """The rows that this container knows to exist: a row stays until usage of its hour is too old to be counted."""

    def __init__(self) -> None:
        self._keys: set[Key] = set()

    def __contains__(self, key: Key) -> bool:
        return key in self._keys

    def add(self, keys: Iterable[Key]) -> None:
        """Remember these rows; when there are too many, all others are forgotten."""
        added = set(keys)
        if len(self._keys) + len(added) > _MAX_SEEN:
            self._keys.clear()
        self._keys |= added


@dataclass(frozen=True, slots=True)
class FoundRows:
    """Which rows of a part exist."""

    existing: frozenset[Counter]
    sizes: dict[Counter, int]
    """By the total of a shard, how many rows it has; not read, and so left out, where all rows of the part exist."""
    unopened: frozenset[Revision]
    """Nothing was counted in these yet."""


def find_rows(store: Store, tenant_id: str, wanted: Iterable[Counter], *, seen: SeenRows) -> FoundRows:
    """Find which of these rows exist. Only rows that this container has not seen yet are read."""
    keys = {counter_key(tenant_id, row): row for row in wanted}
    unseen = [key for key, row in keys.items() if key not in seen and row.dimensions != OTHER]
    totals = {counter_key(tenant_id, total): total for total in {_total_of(keys[key]) for key in unseen}}
    items = store.get_many([*unseen, *totals]) if unseen else {}
    seen.add(key for key in unseen if key in items)
    return FoundRows(
        existing=frozenset(row for key, row in keys.items() if key not in unseen or key in items),
        sizes={total: _size(items[key]) for key, total in totals.items() if key in items},
        unopened=frozenset(total.revision for key, total in totals.items() if key not in items),
    )


def _total_of(row: Counter) -> Counter:
    return Counter(row.revision, row.shard)


def _size(total: Item) -> int:
    return Reader(total).optional_integer("rows") or 0


@dataclass(frozen=True, slots=True)
class Row:
    """What was counted of some dimensions in a revision, over all its shards."""

    place: str
    """Its place in the order in which a revision is rolled up."""
    dimensions: Dimensions
    amounts: Amounts


def rows_after(store: Store, tenant_id: str, revision: Revision, *, place: str) -> Iterator[Row]:
    """Read the rows of a revision that follow a place, in order; of each shard one page is in memory at a time."""
    shards = [_rows_of_shard(store, tenant_id, revision, shard, after=place) for shard in revision.shards]
    for place_found, group in groupby(merge(*shards, key=lambda row: row.place), key=lambda row: row.place):
        of_shards = list(group)
        amounts = reduce(Amounts.plus, (row.amounts for row in of_shards))
        yield Row(place_found, of_shards[0].dimensions, amounts)


def _rows_of_shard(store: Store, tenant_id: str, revision: Revision, shard: int, *, after: str) -> Iterator[Row]:
    prefix = f"{revision_to_text(revision)}#DIM#"
    # Places are hexadecimal digits, which sort below the tilde.
    condition = Expression(
        "#PK = :pk AND #SK BETWEEN :first AND :last",
        {"pk": shard_partition(tenant_id, revision, shard), "first": prefix + after, "last": f"{prefix}~"},
    )
    for item in store.query_all(condition):
        place = str(item["SK"]).removeprefix(prefix)
        if place > after:
            yield Row(place, dimensions_from_item(item), amounts_from_item(item))


def shard_partition(tenant_id: str, revision: Revision, shard: int) -> str:
    """Return the partition of an hour's shard; all revisions of the hour share it."""
    return SLICE.key(tenant_id, "HOUR", hour_to_text(revision.hour), str(shard))


def counter_key(tenant_id: str, counter: Counter) -> Key:
    """Return the key of a total or of a row by dimensions."""
    kind = f"DIM#{place_of_dimensions(counter.dimensions)}" if counter.dimensions else "TOTAL"
    partition = shard_partition(tenant_id, counter.revision, counter.shard)
    return Key(partition, f"{revision_to_text(counter.revision)}#{kind}")
