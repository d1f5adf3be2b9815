"""Tombstones of runs that were deleted, or refused after their objects were written. Their data is still stored."""

from datetime import datetime

from services.runs.errors import ObjectsBeingRemoved
from services.runs.partitions import SLICE
from shared.storage.due import DueIndex
from shared.storage.items import Item, Key, Value, key_of
from shared.storage.table import TenantRows, setting
from shared.storage.transaction import PRESENT, Expression, Transaction, refuse_with

TOMBSTONES_DUE = DueIndex(SLICE, "BURIED")
"""By the time at which the reaper clears the run, unless its deletion has."""


class TombstoneTable(TenantRows):
    """The tombstones of one tenant."""

    def key(self, run_id: str) -> Key:
        """Return the key of a run's tombstone."""
        return Key(self.partition("BURIED"), run_id)

    def legacy_key(self, run_id: str) -> Key:
        """Return the key of the tombstone as earlier releases wrote it, in the run's own partition."""
        return Key(self.partition("RUN", run_id), "BURIED")

    def run_id_in(self, key: Key) -> str:
        """Return the id of the run that a tombstone belongs to."""
        return key.pk.rpartition("#")[2] if key.sk == "BURIED" else key.sk

    def add(self, transaction: Transaction, run_id: str, *, due_at: datetime, last_due_at: datetime) -> None:
        """Write the tombstone of a deleted run in the transaction that deletes it; it is due at two times."""
        last = {"last_due_sk": TOMBSTONES_DUE.place(last_due_at, run_id)["due_sk"]}
        transaction.put({**self.key(run_id).attributes, **self._attributes(run_id, due_at=due_at), **last})

    def put(self, run_id: str, *, due_at: datetime) -> None:
        """Record that objects of a run may be stored. A tombstone that `begin_clearing` has marked keeps the mark."""
        transaction = self.transaction(is_step=True)
        transaction.update(self.key(run_id), setting(self._attributes(run_id, due_at=due_at)))
        self.store.commit(transaction)

    def withdraw(self, transaction: Transaction, run_id: str) -> None:
        """Delete the tombstone that an earlier try of the run's request has left, in the transaction that stores it.

        Called before anything is written to the bucket.

        Raises:
            ObjectsBeingRemoved: the removal has begun. The commit of the transaction raises it too.
        """
        tombstone = self.store.get(self.key(run_id))
        if tombstone and "clearing" in tombstone:
            raise ObjectsBeingRemoved
        if tombstone:
            idle = Expression("attribute_exists(PK) AND attribute_not_exists(#clearing)")
            transaction.delete(self.key(run_id), when=idle, otherwise=refuse_with(ObjectsBeingRemoved()))

    def begin_clearing(self, run_id: str) -> Item | None:
        """Mark and return the tombstone of a run, so that no request stores the run while its objects are removed."""
        for key in (self.key(run_id), self.legacy_key(run_id)):
            if tombstone := self.store.update(key, setting({"clearing": True}), when=PRESENT):
                return tombstone
        return None

    def end_clearing(self, tombstone: Item) -> None:
        """Delete the tombstone of a fully removed run, or postpone it to its last due time if that is in the future.

        A tombstone that was renewed meanwhile is left to the next sweep.
        """
        unchanged = Expression("#due_sk = :before", {"before": tombstone["due_sk"]})
        last = str(tombstone.get("last_due_sk", ""))
        if str(tombstone["due_sk"]) < last:
            self.store.try_update(key_of(tombstone), setting({"due_sk": last}), when=unchanged)
            return
        transaction = self.transaction(is_step=True)
        transaction.delete(key_of(tombstone), when=unchanged)
        self.store.try_commit(transaction)

    def _attributes(self, run_id: str, *, due_at: datetime) -> dict[str, Value]:
        return {"tenant_id": self.tenant_id, "run_id": run_id, **TOMBSTONES_DUE.place(due_at, run_id)}
