"""Removing all that a service has of a deleted tenant: its rows, its objects, and then the word that they are gone.

Whatever stops it in the middle, the message comes again and the rest is removed. The tombstone is written first, so
that nothing new arrives; then it waits for those who have looked before and still write. The numbers are added up in
the tombstone, so that they are of all tries together.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any

from shared.copies.tenant_access import DELETED, access_key, write_if_newer
from shared.declaration import Slice
from shared.events.envelope import Event, happened
from shared.events.tenants import TenantDataRemoved, TenantDeleted
from shared.messaging.consumer import EventConsumer
from shared.storage.due import QUARANTINE
from shared.storage.inbox import Delivery
from shared.storage.items import Key, key_of
from shared.storage.store import Store
from shared.storage.traces import Traces
from shared.storage.transaction import Expression, Transaction

SETTLES_S = 5.0
"""A consumer takes a tenant for living for a second after it has looked, and then writes."""
_SPREAD = "0123456789abcdef"

EXPORTS = "EXPORTS"
"""The partition of a slice in which its exports are."""


class _Said(Exception):
    """The word is out already."""


def remover(
    name: str,
    *,
    store: Callable[[], Store],
    traces: Traces,
    empty_folder: Callable[[str], int] = lambda _: 0,
    tombstone: Callable[[Slice, str], Key] = access_key,
    before: Callable[[str], None] = lambda _: None,
) -> EventConsumer:
    """The consumer of `tenant.deleted` of a service.

    Args:
        name: of the service.
        store: its slice.
        traces: where the rows are.
        empty_folder: deletes its objects of a tenant, and says how many.
        tombstone: where what stays of the tenant lies.
        before: what else has to go first.
    """
    consumer = EventConsumer(f"{name}.remover")

    @consumer.on(TenantDeleted)
    def remove_tenant(event: Event[TenantDeleted], _: Delivery) -> None:  # pyright: ignore[reportUnusedFunction]  # registered
        """Nothing of the tenant is left here but its tombstone."""
        slice_of, tenant_id = store(), event.tenant_id
        grave = tombstone(slice_of.owned, tenant_id)
        write_if_newer(slice_of, tenant_id, {**grave.attributes, "seq": event.seq, "status": DELETED})
        time.sleep(SETTLES_S)
        before(tenant_id)
        for keys in _rows(slice_of, event, traces, grave):
            slice_of.remove(keys)
            _add(slice_of, grave, items=len(keys))
        _add(slice_of, grave, objects=empty_folder(tenant_id))
        _say(name, slice_of, event, grave)

    return consumer


def _rows(store: Store, event: Event[TenantDeleted], traces: Traces, grave: Key) -> Iterator[list[Key]]:
    """The keys of all rows, some at a time. Those that only a list names go first."""
    owned, tenant_id = store.owned, event.tenant_id
    for listed in traces.lists:
        pk = Expression("#list_pk = :pk", {"pk": owned.key(tenant_id, listed)})
        for keys in _pages(store, pk, index="list"):
            yield keys
            # What lies beside a row in its partition is in no list.
            for beside in sorted({key.pk for key in keys} - {owned.key(tenant_id)}):
                yield from _pages(store, Expression("#PK = :pk", {"pk": beside}))
    partitions = [
        *traces.partitions(tenant_id, event.occurred_at),
        *traces.named(store, tenant_id, event.occurred_at),
        *(owned.key(tenant_id, kind, letter) for kind in ("IDEMPOTENCY", "INBOX") for letter in _SPREAD),
        owned.key(tenant_id, EXPORTS),
        owned.key(tenant_id, QUARANTINE),
        owned.key(tenant_id),
    ]
    kept = tuple(traces.keeps)
    for partition in partitions:
        for keys in _pages(store, Expression("#PK = :pk", {"pk": partition})):
            own = partition == owned.key(tenant_id)
            gone = [key for key in keys if key != grave and not (own and kept and key.sk.startswith(kept))]
            if gone:
                yield gone


def _pages(store: Store, condition: Expression, *, index: Any = None) -> Iterator[list[Key]]:  # noqa: ANN401 — as the store's
    after: dict[str, Any] | None = None
    while True:
        page = store.query(condition, index=index, resume_after=after)
        if page.items:
            yield [key_of(item) for item in page.items]
        after = page.resume_after
        if after is None:
            return


def _add(store: Store, grave: Key, *, items: int = 0, objects: int = 0) -> None:
    added = {"items": items, "objects": objects}
    store.update(
        grave, Expression("ADD #items :items, #objects :objects", added), when=Expression("attribute_exists(PK)")
    )


def _say(name: str, store: Store, event: Event[TenantDeleted], grave: Key) -> None:
    """Say once that everything is gone, with the numbers of all tries."""
    there = store.get(grave) or {}
    said = TenantDataRemoved(
        service=name, items=int(str(there.get("items", 0))), objects=int(str(there.get("objects", 0)))
    )
    transaction = Transaction(event.tenant_id)
    transaction.update(
        grave,
        Expression("SET #removed = :yes", {"yes": True}),
        when=Expression("attribute_not_exists(#removed)"),
        otherwise=lambda _: _Said(),
    )
    transaction.emit(
        happened(
            said,
            event_id=f"{event.tenant_id}:{name}:data_removed",
            tenant_id=event.tenant_id,
            subject=name,
            seq=event.seq,
            at=event.occurred_at,
        )
    )
    try:
        store.commit(transaction)
    except _Said:
        return
