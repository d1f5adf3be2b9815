"""Removal of a service's data of a deleted tenant: its rows, then its objects, then the event that reports it.

If a removal is interrupted, the next delivery of the message continues it. The tombstone is written first, so that
nothing new is written. Then the removal waits for consumers that read the tenant before. The counts are added up in
the tombstone, so that they include all attempts.

Some rows can be found through the `list` index only, which follows the table with a delay, so one pass is no proof.
Once every request that could still write has ended, marks are written into every list. Passes are then repeated until
one finds nothing that began after the index showed all marks (docs/decisions/0030-proof-of-removal.md).
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from shared.copies.table import write_if_newer
from shared.copies.tenant_access import DELETED, access_key
from shared.deadline import remaining_s
from shared.declaration import Slice
from shared.errors import DependencyUnavailable
from shared.events.envelope import Event, new_event
from shared.events.tenants import TenantDataRemoved, TenantDeleted
from shared.messaging.consumer import EventConsumer
from shared.storage.codec import Codec
from shared.storage.inbox import Delivery
from shared.storage.items import Key, key_of
from shared.storage.partitions import TenantPartitions
from shared.storage.quarantine import QUARANTINE, quarantined_partitions
from shared.storage.store import Store
from shared.storage.table import TenantRows, adding, setting
from shared.storage.transaction import PRESENT, Expression, Transaction

SETTLES_S = 5.0
"""Seconds to wait after the tombstone: a consumer relies on a tenant's state for a second, and then writes."""
LAST_WRITES_S = 30.0
"""Seconds before the marks are written: longer than a request takes (29 s). No other write follows the marks."""
POLL_S = 1.0
"""Seconds between two queries for the marks in the index, which usually follows the table within a second."""
_SPREAD = "0123456789abcdef"
_MARKS = "REMOVAL"
"""The partitions of the marks. There are several, so that the index must have followed several parts of the table."""

EXPORTS = "EXPORTS"
"""The partition of a slice that stores the progress of its exports."""


def remover(
    name: str,
    *,
    store: Callable[[], Store],
    partitions: TenantPartitions,
    empty_folder: Callable[[str], int] = lambda _: 0,
    tombstone_key: Callable[[Slice, str], Key] = access_key,
    remove_outside: Callable[[str], None] = lambda _: None,
) -> EventConsumer:
    """Return a service's consumer of `tenant.deleted`.

    Args:
        name: the name of the service.
        store: the slice of the service.
        partitions: the partitions of the tenant's rows.
        empty_folder: deletes the service's objects of a tenant and returns their number.
        tombstone_key: returns the key of the tenant's tombstone.
        remove_outside: removes the tenant's data in other systems; called once per delivery, after the last request
            that could add to it.
    """
    consumer = EventConsumer(f"{name}.remover")

    def remove_all(slice_of: Store, event: Event[TenantDeleted], tombstone: "_Tombstone") -> int:
        """Remove all rows and objects that are found, and return their number."""
        items = 0
        for keys in filter(None, _rows(slice_of, event, partitions, tombstone.key)):
            slice_of.remove(keys)
            tombstone.add(_Removed(items=len(keys)))
            items += len(keys)
        objects = empty_folder(event.tenant_id)
        tombstone.add(_Removed(objects=objects))
        return items + objects

    @consumer.on(TenantDeleted)
    def remove_tenant(event: Event[TenantDeleted], _: Delivery) -> None:  # pyright: ignore[reportUnusedFunction]  # registered
        """Remove all data of the tenant except its tombstone."""
        slice_of, tenant_id = store(), event.tenant_id
        tombstone = _Tombstone(slice_of, tenant_id, tombstone_key(slice_of.owned, tenant_id))
        tombstone.write(seq=event.seq)
        time.sleep(SETTLES_S)
        remove_all(slice_of, event, tombstone)
        _wait(LAST_WRITES_S)
        remove_outside(tenant_id)
        _remove_until_proven(slice_of, tenant_id, partitions, lambda: remove_all(slice_of, event, tombstone))
        tombstone.publish(name, event)

    return consumer


@dataclass(frozen=True, slots=True)
class _Removed:
    """The number of removed rows and objects."""

    items: int = 0
    objects: int = 0


class _Tombstone(TenantRows):
    """The item that records that a tenant is deleted, and counts what is removed."""

    def __init__(self, store: Store, tenant_id: str, key: Key) -> None:
        super().__init__(store, tenant_id)
        self.key = key

    def write(self, *, seq: int) -> None:
        """Replace the copy of the tenant."""
        write_if_newer(self.store, self.tenant_id, {**self.key.attributes, "seq": seq, "status": DELETED})

    def add(self, removed: _Removed) -> None:
        """Add to the counts."""
        numbers = {"items": removed.items, "objects": removed.objects}
        self.store.update(self.key, adding(numbers), when=PRESENT)

    def publish(self, name: str, event: Event[TenantDeleted]) -> None:
        """Publish once that all data is removed, with the counts of all attempts."""
        removed = _REMOVED.decode(self.store.get(self.key) or {})
        payload = TenantDataRemoved(service=name, items=removed.items, objects=removed.objects)
        transaction = self.transaction()
        unpublished = Expression("attribute_not_exists(#removed)")
        transaction.update(self.key, setting({"removed": True}), when=unpublished)
        transaction.emit(
            new_event(
                payload,
                event_id=f"{event.tenant_id}:{name}:data_removed",
                tenant_id=event.tenant_id,
                subject=name,
                seq=event.seq,
                at=event.occurred_at,
            )
        )
        self.store.try_commit(transaction)


_REMOVED = Codec(_Removed)


def _remove_until_proven(
    store: Store, tenant_id: str, partitions: TenantPartitions, remove_all: Callable[[], int]
) -> None:
    """Repeat passes until one finds nothing. Each begins after the index has listed everything that was written.

    Raises:
        DependencyUnavailable: the invocation's time ends before.
    """
    marks = _put_marks(store, tenant_id, partitions)
    while not _are_listed(store, tenant_id, partitions, marks):
        _wait(POLL_S)
    while remove_all():
        _wait(POLL_S)
    store.remove(list(marks))


def _rows(
    store: Store, event: Event[TenantDeleted], partitions: TenantPartitions, tombstone: Key
) -> Iterator[list[Key]]:
    """Yield the keys of all rows to delete, in batches. Rows that only a list names come first."""
    for listed in partitions.lists:
        yield from _listed_rows(store, event.tenant_id, listed)
    for partition in _partitions(store, event, partitions):
        yield from _pages(store, Expression("#PK = :pk", {"pk": partition}))
    own = store.owned.key(event.tenant_id)
    for keys in _pages(store, Expression("#PK = :pk", {"pk": own})):
        if deletable := [key for key in keys if key != tombstone and not key.sk.startswith(tuple(partitions.retained))]:
            yield deletable


def _partitions(store: Store, event: Event[TenantDeleted], partitions: TenantPartitions) -> Iterator[str]:
    """Yield the tenant's partitions that contain no retained rows."""
    owned, tenant_id = store.owned, event.tenant_id
    yield from partitions.partitions(tenant_id, event.occurred_at)
    yield from partitions.named(store, tenant_id, event.occurred_at)
    for digit in _SPREAD:
        yield owned.key(tenant_id, "IDEMPOTENCY", digit)
        yield owned.key(tenant_id, "INBOX", digit)
    yield owned.key(tenant_id, EXPORTS)
    yield from _quarantined(store, tenant_id, partitions)
    yield owned.key(tenant_id, QUARANTINE)


def _listed_rows(store: Store, tenant_id: str, listed: str) -> Iterator[list[Key]]:
    """Yield the keys of the rows in a list, each after those of the other rows in its partition.

    The other rows are in no list, so an interrupted removal can find them through the listed row only. The index still
    lists deleted rows, so the existing ones are read from the table.
    """
    own = store.owned.key(tenant_id)
    for page in _pages(store, Expression("#list_pk = :pk", {"pk": store.owned.key(tenant_id, listed)}), index="list"):
        keys = {key for key in page if not _is_mark(store.owned, tenant_id, key)}
        yield list(store.get_many([key for key in keys if key.pk == own]))
        for partition in sorted({key.pk for key in keys} - {own}):
            present = list[Key]()
            for found in _pages(store, Expression("#PK = :pk", {"pk": partition})):
                yield [key for key in found if key not in keys]
                present += [key for key in found if key in keys]
            yield present


def _quarantined(store: Store, tenant_id: str, partitions: TenantPartitions) -> Iterator[str]:
    """Return the partitions of quarantined items, which are in no queue. If a slice keeps all rows, it keeps these."""
    if "" in partitions.retained:
        return
    own = store.owned.key(tenant_id)
    named = quarantined_partitions(store, tenant_id)
    yield from sorted(partition for partition in named if partition.startswith(f"{own}#"))


def _put_marks(store: Store, tenant_id: str, partitions: TenantPartitions) -> dict[Key, str]:
    """Write a mark into every list from each of 16 partitions, and return the sort keys of the marks in the list.

    These are new in each delivery, so that the index cannot show the marks of an earlier one instead.
    """
    owned, marks, nonce = store.owned, dict[Key, str](), uuid4().hex
    for listed in partitions.lists:
        transaction = Transaction(tenant_id, is_step=True)
        for letter in _SPREAD:
            key = Key(owned.key(tenant_id, _MARKS, letter), listed)
            marks[key] = f"~{letter}#{nonce}"
            transaction.put({**key.attributes, "list_pk": owned.key(tenant_id, listed), "list_sk": marks[key]})
        store.commit(transaction)
    return marks


def _is_mark(owned: Slice, tenant_id: str, key: Key) -> bool:
    return key.pk.startswith(owned.key(tenant_id, _MARKS, ""))


def _are_listed(store: Store, tenant_id: str, partitions: TenantPartitions, marks: dict[Key, str]) -> bool:
    """Return whether the index lists all marks, and therefore all rows that were written before them."""
    lists = [Expression("#list_pk = :pk", {"pk": store.owned.key(tenant_id, listed)}) for listed in partitions.lists]
    listed = {(key_of(item), str(item["list_sk"])) for pk in lists for item in store.query_all(pk, index="list")}
    return listed >= set(marks.items())


def _wait(seconds: float) -> None:
    if remaining_s() <= 2 * LAST_WRITES_S:
        msg = "The index may not list all rows yet. The removal continues with the next delivery."
        raise DependencyUnavailable(msg, retry_after_s=int(LAST_WRITES_S))
    time.sleep(seconds)


def _pages(store: Store, condition: Expression, *, index: Any = None) -> Iterator[list[Key]]:  # noqa: ANN401 — as the store's
    after: dict[str, Any] | None = None
    while True:
        page = store.query(condition, index=index, resume_after=after)
        if page.items:
            yield [key_of(item) for item in page.items]
        after = page.resume_after
        if after is None:
            return
