"""Tenants that are being deleted, until their runs have ended."""

from collections.abc import Iterator

from services.runs.domain.stop import Stop
from services.runs.table import SLICE
from shared.events.envelope import Event
from shared.events.runs import TenantRunsStopped
from shared.storage.items import Key, Reader, key_of
from shared.storage.store import Store
from shared.storage.transaction import ABSENT, PRESENT, Expression, Transaction, refuse_with
from shared.times import from_text, to_text

_DUE = SLICE.due_key("STOPPING")


class _Done(Exception):
    """It is there, or gone, already."""


def add_stop(store: Store, tenant_id: str, stop: Stop) -> None:
    """Write down that the tenant's runs are to end, once."""
    item = {
        **_key(tenant_id).attributes,
        "tenant_id": tenant_id,
        "seq": stop.seq,
        "since": to_text(stop.since),
        "due_pk": _DUE,
        "due_sk": f"{to_text(stop.since)}#{tenant_id}",
    }
    transaction = Transaction(tenant_id)
    transaction.put(item, when=ABSENT, otherwise=refuse_with(_Done()))
    _commit(store, transaction)


def end_stop(store: Store, tenant_id: str, said: Event[TenantRunsStopped]) -> None:
    """Say that no run is left, once."""
    transaction = Transaction(tenant_id)
    transaction.delete(_key(tenant_id), when=PRESENT, otherwise=refuse_with(_Done()))
    transaction.emit(said)
    _commit(store, transaction)


def stops(store: Store) -> Iterator[Stop]:
    """All tenants whose runs are to end; for the reaper."""
    for entry in store.query(Expression("#due_pk = :pk", {"pk": _DUE}), index="due", limit=100).items:
        item = store.get(key_of(entry))
        if item:
            reader = Reader(item)
            yield Stop(reader.text("tenant_id"), reader.integer("seq"), from_text(reader.text("since")))


def _key(tenant_id: str) -> Key:
    return Key(SLICE.key(tenant_id), "STOPPING")


def _commit(store: Store, transaction: Transaction) -> None:
    try:
        store.commit(transaction)
    except _Done:
        return
