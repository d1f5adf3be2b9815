"""Tenants that are being deleted, until their runs have ended."""

from services.runs.domain.stop import Stop
from services.runs.table import SLICE
from shared.events.envelope import Event
from shared.events.runs import TenantRunsStopped
from shared.storage.due import DueQueue
from shared.storage.items import Key, Reader
from shared.storage.store import Store
from shared.storage.transaction import ABSENT, PRESENT, Transaction, refuse_with
from shared.times import from_text, to_text

_KIND = "STOPPING"


class _Done(Exception):
    """It is there, or gone, already."""


def add_stop(store: Store, tenant_id: str, stop: Stop) -> None:
    """Write down that the tenant's runs are to end, once."""
    item = {
        **_key(tenant_id).attributes,
        "tenant_id": tenant_id,
        "seq": stop.seq,
        "since": to_text(stop.since),
        "due_pk": SLICE.due_key(_KIND),
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


def find_stop(store: Store, tenant_id: str) -> Stop | None:
    """Return the stop of a tenant, or None when its runs need not end, or have ended."""
    item = store.get(_key(tenant_id))
    if item is None:
        return None
    reader = Reader(item)
    return Stop(reader.text("tenant_id"), reader.integer("seq"), from_text(reader.text("since")))


def queue(store: Store) -> DueQueue:
    """Return the queue of all tenants whose runs are to end."""
    return DueQueue(store, _KIND)


def _key(tenant_id: str) -> Key:
    return Key(SLICE.key(tenant_id), "STOPPING")


def _commit(store: Store, transaction: Transaction) -> None:
    try:
        store.commit(transaction)
    except _Done:
        return
