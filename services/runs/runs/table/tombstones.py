"""Tombstones of runs that were deleted, or refused after their objects were written. Their data is still stored."""

from datetime import datetime

from services.runs.errors import ObjectsBeingRemoved
from services.runs.runs.domain.run import Run
from services.runs.runs.table.changes import update_expression
from services.runs.runs.table.items import legacy_tombstone_key, tombstone_item, tombstone_key
from shared.storage.items import Item, key_of
from shared.storage.store import Store
from shared.storage.transaction import PRESENT, Expression, Transaction, refuse_with


def put_tombstone(store: Store, run: Run, *, due_at: datetime) -> None:
    """Record that objects of a run may be stored. A tombstone that `begin_clearing` has marked keeps the mark."""
    tombstone = tombstone_item(run, due_at=due_at)
    transaction = Transaction(run.tenant_id, is_step=True)
    transaction.update(
        key_of(tombstone), update_expression({name: tombstone[name] for name in tombstone if name not in {"PK", "SK"}})
    )
    store.commit(transaction)


def withdraw_tombstone(store: Store, run: Run, transaction: Transaction) -> None:
    """Delete the tombstone that an earlier try of the run's request has left, with the transaction that stores the run.

    Called before anything is written to the bucket.

    Raises:
        ObjectsBeingRemoved: the removal has begun. The commit of the transaction raises it too.
    """
    key = tombstone_key(run.tenant_id, run.run_id)
    tombstone = store.get(key)
    if tombstone and "clearing" in tombstone:
        raise ObjectsBeingRemoved
    if tombstone:
        idle = Expression("attribute_exists(PK) AND attribute_not_exists(#clearing)")
        transaction.delete(key, when=idle, otherwise=refuse_with(ObjectsBeingRemoved()))


def begin_clearing(store: Store, tenant_id: str, run_id: str) -> Item | None:
    """Mark and return the tombstone of a run, so that no request stores the run while its objects are removed."""
    mark = Expression("SET #clearing = :yes", {"yes": True})
    for key in (tombstone_key(tenant_id, run_id), legacy_tombstone_key(tenant_id, run_id)):
        if tombstone := store.update(key, mark, when=PRESENT):
            return tombstone
    return None


def end_clearing(store: Store, tenant_id: str, tombstone: Item) -> None:
    """Delete the tombstone of a fully removed run, or postpone it to its last due time if that is in the future.

    A tombstone that was renewed meanwhile is left to the next sweep.
    """
    unchanged = Expression("#due_sk = :before", {"before": tombstone["due_sk"]})
    last = str(tombstone.get("last_due_sk", ""))
    if str(tombstone["due_sk"]) < last:
        store.try_update(key_of(tombstone), Expression("SET #due_sk = :last", {"last": last}), when=unchanged)
        return
    transaction = Transaction(tenant_id, is_step=True)
    transaction.delete(key_of(tombstone), when=unchanged)
    store.try_commit(transaction)
