"""Storage of rollouts of a plan to a tenant's users in the pool, and of the users whose update failed, in one queue.

A rollout is one item of its tenant. It holds the last updated user. A user whose update failed, or whose address is
being changed, gets an item of its own, so that no user delays the rollout.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from services.tenants.partitions import SLICE
from services.tenants.tenants.table.counts import TenantCounts
from shared.storage.codec import Codec
from shared.storage.due import DueEntry, DueIndex
from shared.storage.items import Value
from shared.storage.store import Store
from shared.storage.table import TenantTable
from shared.storage.transaction import Expression, Transaction, refuse_with

ROLLOUTS = DueIndex(SLICE, "PLAN")
"""The place of rollouts and of users in the `due` index."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """A rollout of a plan to the users of a tenant."""

    rollout_id: str
    """The id of the event that began it. A later one begins again with the first user."""
    user_id: str | None
    """The last updated user. None at the beginning."""


class RolloutTable(TenantTable[Rollout]):
    """The rollout of one tenant; none is found once it is finished."""

    prefix = "PLAN"
    codec = Codec(Rollout)

    def begin(self, rollout_id: str, *, now: datetime) -> None:
        """Store a rollout that begins with the first user. It replaces an earlier one.

        Raises:
            TenantNotFound: the tenant was deleted.
        """
        transaction = self.transaction(is_step=True)
        TenantCounts(self.store, self.tenant_id).require_tenant(transaction)
        due = ROLLOUTS.place(now, self.tenant_id)
        transaction.put({**self.item(Rollout(rollout_id, None)), "tenant_id": self.tenant_id, **due})
        self.store.commit(transaction)

    def save_progress(self, rollout: Rollout, *, user_id: str) -> None:
        """Record the last updated user, unless another rollout has begun."""
        same = self.equal(rollout_id=rollout.rollout_id)
        self.store.update(self.key(), self.setting(user_id=user_id), when=same)

    def finish(self, rollout: Rollout) -> None:
        """Delete a finished rollout, unless another one has begun."""
        transaction = self.transaction(is_step=True)
        same = self.equal(rollout_id=rollout.rollout_id)
        transaction.delete(self.key(), when=same, otherwise=refuse_with(_AlreadyFinished()))
        _commit(self.store, transaction)


@dataclass(frozen=True, slots=True)
class DueUser:
    """A user whom the sweep updates at a time, even if no event arrives."""

    user_id: str
    due_at: datetime


class DueUserTable(TenantTable[DueUser]):
    """The users of one tenant whose update failed or is to be checked later."""

    prefix, id_field = "PLAN#USER#", "user_id"
    codec = Codec(DueUser, given=("due_at",))

    def indexed(self, record: DueUser) -> Mapping[str, Value]:
        """Return the tenant, and the place in the queue."""
        return {"tenant_id": self.tenant_id, **ROLLOUTS.place(record.due_at, self.tenant_id)}

    def put(self, transaction: Transaction, user_id: str, *, at: datetime) -> None:
        """Make a user due at this time in the transaction. An earlier entry of the user is replaced."""
        transaction.put(self.item(DueUser(user_id, at)))

    def make_due(self, user_id: str, *, now: datetime) -> None:
        """Make a user due whose update failed.

        Raises:
            TenantNotFound: the tenant was deleted.
        """
        transaction = self.transaction(is_step=True)
        TenantCounts(self.store, self.tenant_id).require_tenant(transaction)
        self.put(transaction, user_id, at=now)
        self.store.commit(transaction)

    def remove(self, entry: DueEntry) -> None:
        """Delete the entry of an updated user, unless a later change has made the user due again."""
        transaction = self.transaction(is_step=True)
        unmoved = Expression("#due_sk = :due_sk", {"due_sk": entry.due_sk})
        transaction.delete(entry.key, when=unmoved, otherwise=refuse_with(_AlreadyFinished()))
        _commit(self.store, transaction)

    def user_of(self, entry: DueEntry) -> str | None:
        """Return the user of an entry, or None for a rollout."""
        return entry.key.sk.removeprefix(self.prefix) if entry.key.sk.startswith(self.prefix) else None


class _AlreadyFinished(Exception):
    """The rollout was finished or replaced, or the user's entry was deleted."""


def _commit(store: Store, transaction: Transaction) -> None:
    try:
        store.commit(transaction)
    except _AlreadyFinished:
        return
