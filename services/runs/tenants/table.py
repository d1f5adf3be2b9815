"""Tenants that are being deleted, until their runs have ended."""

from services.runs.partitions import SLICE
from services.runs.tenants.domain import RunStop
from shared.events.envelope import Event
from shared.events.runs import TenantRunsStopped
from shared.storage.due import DueQueue
from shared.storage.items import Key, Reader
from shared.storage.store import Store
from shared.storage.transaction import ABSENT, PRESENT, Expression, Transaction, refuse_with
from shared.times import from_text, to_text

_KIND = "STOPPING"


class _AlreadyDone(Exception):
    """The stop exists already, or is gone already."""


def add_stop(store: Store, tenant_id: str, stop: RunStop) -> None:
    """Store the stop of a tenant, once."""
    item = {
        **_key(tenant_id).attributes,
        "tenant_id": tenant_id,
        "seq": stop.seq,
        "since": to_text(stop.since),
        "due_pk": SLICE.due_key(_KIND),
        "due_sk": f"{to_text(stop.since)}#{tenant_id}",
    }
    transaction = Transaction(tenant_id)
    transaction.put(item, when=ABSENT, otherwise=refuse_with(_AlreadyDone()))
    _commit(store, transaction)


def end_stop(store: Store, tenant_id: str, payload: Event[TenantRunsStopped]) -> None:
    """Delete the stop and publish the event that all runs have ended, once."""
    transaction = Transaction(tenant_id)
    transaction.delete(_key(tenant_id), when=PRESENT, otherwise=refuse_with(_AlreadyDone()))
    transaction.emit(payload)
    _commit(store, transaction)


def find_stop(store: Store, tenant_id: str) -> RunStop | None:
    """Return the stop of a tenant, or None if its runs need not end or have ended."""
    item = store.get(_key(tenant_id))
    if item is None:
        return None
    reader = Reader(item)
    return RunStop(
        tenant_id=reader.text("tenant_id"),
        seq=reader.integer("seq"),
        since=from_text(reader.text("since")),
        checked_to=reader.optional_text("checked_to"),
    )


def set_checked_to(store: Store, tenant_id: str, run_id: str) -> None:
    """Record how far a stop has come; see `RunStop.checked_to`."""
    change = Expression("SET #checked_to = :run_id", {"run_id": run_id})
    store.try_update(_key(tenant_id), change, when=PRESENT)


def queue(store: Store) -> DueQueue:
    """Return the queue of all stops."""
    return DueQueue(store, _KIND)


def _key(tenant_id: str) -> Key:
    return Key(SLICE.key(tenant_id), "STOPPING")


def _commit(store: Store, transaction: Transaction) -> None:
    try:
        store.commit(transaction)
    except _AlreadyDone:
        return
