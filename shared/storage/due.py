"""Queues of due work: items that name themselves in the `due` index, by the time at which they become due.

The index holds keys alone. An item leaves its queue when its owner removes or moves `due_sk`; until then every sweep
finds it again. Entries that fail are moved back, and in the end quarantined (`shared.storage.quarantine`).
"""

import hashlib
import heapq
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, islice
from operator import attrgetter
from typing import Generic

from typing_extensions import TypeVar

from shared.deadline import remaining_s
from shared.declaration import Slice
from shared.errors import DependencyUnavailable
from shared.storage.items import Item, Key, Value, key_of
from shared.storage.store import Store
from shared.storage.table import TenantTable
from shared.storage.transaction import Expression
from shared.times import to_text

T = TypeVar("T", default=object)
"""The type of the records; entries of several types, or those that are distinguished by their keys, have none."""

WINDOW = 20_000
"""Entries that one sweep handles at most. While they are chosen, twice as many are in memory: some 20 MB."""
MAX_READ = 200_000
"""Entries that one sweep reads at most: 40 pages of the index. As many are the executing runs of 400 tenants with 500
each; runs that wait for a slot are in no queue, and those that wait for tools are in one of their own."""


@dataclass(frozen=True, slots=True)
class DueIndex:
    """One kind of due work in one slice, and the place of its entries in the `due` index."""

    owned: Slice
    name: str
    """The name in the index, for example `RUN` in `DUE#RUNS#RUN`."""
    shards: int = 1
    """The index keys over which the entries are spread. Each takes 1,000 write units a second."""

    @property
    def keys(self) -> tuple[str, ...]:
        """The index keys. The first one has no number, as in a queue without shards."""
        key = self.owned.due_key(self.name)
        return (key, *(f"{key}#{shard}" for shard in range(1, self.shards)))

    def place(self, at: datetime, *ids: str) -> dict[str, Value]:
        """Return the index attributes of an item that is due at this time.

        Args:
            at: the time.
            ids: what distinguishes entries of the same time. The same ids always have the same shard.
        """
        return {"due_pk": self._key_of(ids), "due_sk": "#".join((to_text(at), *ids))}

    def _key_of(self, ids: tuple[str, ...]) -> str:
        if self.shards == 1:
            return self.keys[0]
        return self.keys[hashlib.sha256("#".join(ids).encode()).digest()[0] % self.shards]


@dataclass(frozen=True, slots=True)
class DueEntry:
    """An item's place in a queue."""

    key: Key
    due_pk: str
    due_sk: str
    """Begins with the time, RFC 3339 in UTC, where the queue is one by time."""

    @property
    def tenant_id(self) -> str:
        """The tenant whose item it is."""
        return self.key.pk.split("#")[1]

    @property
    def kind(self) -> str:
        """The queue's name in its index key, `DUE#<slice>#<name>`."""
        return self.due_pk.split("#")[2]


@dataclass(frozen=True, slots=True)
class LoadedEntry(DueEntry):
    """An entry whose item was read with those of others."""

    item: Item | None


class DueQueue(Generic[T]):
    """The queue of one kind of due work of all tenants.

    Args:
        store: the slice of every tenant.
        index: the kind of due work.
        table: makes the table of a tenant's records, for `load`.
        batch: how many records a sweep reads together, before it handles the first of them. Those of a queue without
            batches are read one by one.
    """

    def __init__(
        self,
        store: Store,
        index: DueIndex,
        table: Callable[[Store, str], TenantTable[T]] | None = None,
        *,
        batch: int = 1,
    ) -> None:
        self.store = store
        self._index = index
        self._table = table
        self._batch = batch

    def load(self, entry: DueEntry) -> T | None:
        """Return the record of an entry, or None if it does not exist any more. The read was consistent."""
        table = self._table_of(entry)
        item = entry.item if isinstance(entry, LoadedEntry) else self.store.get(entry.key, only=table.attributes)
        return None if item is None else table.decode(item)

    def read_ahead(self, entries: Iterator[DueEntry]) -> Iterator[DueEntry]:
        """Yield these entries, with their items if the queue reads in batches."""
        if self._batch == 1:
            yield from entries
        while some := list(islice(entries, self._batch)):
            yield from self._with_items(some)

    def _with_items(self, entries: Sequence[DueEntry]) -> Iterable[DueEntry]:
        keys = list(dict.fromkeys(entry.key for entry in entries))
        try:
            found = self.store.get_many(keys, only=self._table_of(entries[0]).attributes)
        except DependencyUnavailable:
            return entries  # Each is read by itself, so that an outage is a failure of the entry.
        return [LoadedEntry(entry.key, entry.due_pk, entry.due_sk, found.get(entry.key)) for entry in entries]

    def _table_of(self, entry: DueEntry) -> TenantTable[T]:
        if self._table is None:
            msg = f"{self._index.name} has no table of records"
            raise TypeError(msg)
        return self._table(self.store, entry.tenant_id)

    def entries(
        self,
        *,
        now: datetime,
        window: int = WINDOW,
        max_read: int = MAX_READ,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> Iterator[DueEntry]:
        """Return the entries that are due, the longest due first, in turns over their tenants.

        A tenant with many entries neither delays nor hides those of others: where more are due than fit the window,
        reading goes on, and the tenants with the most entries give way. Reading ends after half of the invocation's
        remaining time, so that the other half is left to handle the entries.

        Args:
            now: the time.
            window: how many entries are returned at most.
            max_read: how many are read at most.
            monotonic: the clock of the remaining time.
        """
        ends_at = monotonic() + remaining_s() / 2
        due = self._read(until=f"{to_text(now)}~", has_time=lambda: monotonic() < ends_at)
        return iter(_first_in_turns(islice(due, max_read), window))

    def _read(self, *, until: str, has_time: Callable[[], bool]) -> Iterator[DueEntry]:
        """Yield the due entries of all shards, the longest due first."""
        shards = [self._read_shard(key, until=until, has_time=has_time) for key in self._index.keys]
        return shards[0] if len(shards) == 1 else heapq.merge(*shards, key=attrgetter("due_sk"))

    def _read_shard(self, due_pk: str, *, until: str, has_time: Callable[[], bool]) -> Iterator[DueEntry]:
        """Yield one page of due entries, and further ones while there is time."""
        due = Expression("#due_pk = :pk AND #due_sk <= :until", {"pk": due_pk, "until": until})
        resume_after: Item | None = None
        while True:
            page = self.store.query(due, index="due", resume_after=resume_after)
            for item in page.items:
                yield DueEntry(key_of(item), due_pk, str(item["due_sk"]))
            resume_after = page.resume_after
            if resume_after is None or not has_time():
                return

    def postpone(self, entry: DueEntry, *, at: datetime) -> bool:
        """Move an entry to a later time; its place must begin with the time.

        Returns:
            False when the entry was moved or removed meanwhile.
        """
        later = Expression("SET #due_sk = :later", {"later": place_at(entry, at)})
        return self.store.try_update(entry.key, later, when=unmoved(entry)) is None


def _first_in_turns(entries: Iterator[DueEntry], window: int) -> list[DueEntry]:
    """Return the first entries of `_in_turns`, with at most two windows in memory.

    An entry that `window` others precede in turns is preceded by them whatever is read later, so it can be dropped.
    """
    kept = list[DueEntry]()
    while read := list(islice(entries, window)):
        kept = list(islice(_in_turns(chain(kept, read)), window))
        if len({entry.tenant_id for entry in kept}) == window:
            break  # one of each tenant: no later entry precedes any of them
    return kept


def _in_turns(entries: Iterable[DueEntry]) -> Iterator[DueEntry]:
    by_tenant: defaultdict[str, deque[DueEntry]] = defaultdict(deque)
    for entry in entries:
        by_tenant[entry.tenant_id].append(entry)
    while by_tenant:
        for tenant_id in list(by_tenant):
            waiting = by_tenant[tenant_id]
            yield waiting.popleft()
            if not waiting:
                del by_tenant[tenant_id]


def place_at(entry: DueEntry, at: datetime) -> str:
    """Return the entry's place with another time, of the same length."""
    _, hash_sign, rest = entry.due_sk.partition("#")
    return f"{to_text(at)}{hash_sign}{rest}"


def unmoved(entry: DueEntry) -> Expression:
    """Return the condition that the entry is where it was read."""
    return Expression("#due_pk = :due_pk AND #due_sk = :due_sk", {"due_pk": entry.due_pk, "due_sk": entry.due_sk})
