"""The bytes that a tenant's runs store in the bucket: one number, changed in the transactions of the runs.

A transaction is refused if the sum would exceed the plan's limit, so no concurrency can exceed it. The transaction
also writes the inbox marks of its artifact events: their consumer counts only events whose transaction wrote no
marks.
"""

from collections.abc import Sequence

from services.runs.errors import StorageFull
from services.runs.runs.domain.artifact import stores_artifacts
from shared.events.envelope import Event
from shared.events.runs import ArtifactDeleted, ArtifactStored, RunEvent
from shared.plans import UNLIMITED
from shared.storage.inbox import Delivery
from shared.storage.items import Key, Reader
from shared.storage.table import TenantRows, adding
from shared.storage.transaction import Expression, Transaction, refuse_with

BYTES_PER_GB = 10**9
CONSUMER = "runs.consumer"
"""The name in the inbox marks of the function that counts artifact events."""

Events = Sequence[Event[RunEvent]]


class StoredBytes(TenantRows):
    """The number of one tenant."""

    @property
    def key(self) -> Key:
        """The key of the item that holds the number."""
        return Key(self.partition(), "STORAGE")

    def read(self) -> int:
        """Return the bytes that the tenant's runs store now."""
        return Reader(self.store.get(self.key) or {}).optional_integer("bytes") or 0

    def check_fits(self, events: Events, *, storage_gb: int | None) -> None:
        """Refuse a change before anything is written to the bucket. `count` makes the final check.

        Args:
            events: the events of the change.
            storage_gb: the plan's limit, see `count`.

        Raises:
            StorageFull: the change does not fit.
        """
        if storage_gb is None or storage_gb == UNLIMITED or not stores_artifacts(events):
            return
        if self.read() + _added_bytes(events) > storage_gb * BYTES_PER_GB:
            raise StorageFull(storage_gb)

    def count(self, transaction: Transaction, events: Events, *, storage_gb: int | None = None) -> None:
        """Count the stored and deleted bytes of a change in its own transaction, within the plan's limit.

        Args:
            transaction: the transaction of the change.
            events: the events of the change.
            storage_gb: the plan's limit in GB, or `UNLIMITED`; None for a change that stores nothing.

        Raises:
            ValueError: the change stores something, and no limit is given. The commit of the transaction raises
                `StorageFull` if the sum would exceed the limit.
        """
        counted = [event for event in events if isinstance(event.data, ArtifactStored | ArtifactDeleted)]
        if not counted:
            return
        for event in counted:
            Delivery(CONSUMER, event.id, event.occurred_at).mark(transaction, self.store.owned)
        more = _added_bytes(counted)
        if not stores_artifacts(counted):
            transaction.update(self.key, adding({"bytes": more}))
            return
        if storage_gb is None:
            msg = "the limit of a change that stores something is not given"
            raise ValueError(msg)
        fits = None if storage_gb == UNLIMITED else _fits(more, limit=storage_gb * BYTES_PER_GB)
        transaction.update(self.key, adding({"bytes": more}), when=fits, otherwise=refuse_with(StorageFull(storage_gb)))

    def count_delivered(self, delivery: Delivery, *, more: int) -> None:
        """Count the bytes of an artifact event, unless they were counted.

        Raises:
            AlreadyHandled: they were counted before, for example in the event's own transaction.
        """
        transaction = self.transaction()
        delivery.mark(transaction, self.store.owned)
        transaction.update(self.key, adding({"bytes": more}))
        self.store.commit(transaction)


def _added_bytes(events: Events) -> int:
    stored = sum(event.data.bytes for event in events if isinstance(event.data, ArtifactStored))
    return stored - sum(event.data.bytes for event in events if isinstance(event.data, ArtifactDeleted))


def _fits(more: int, *, limit: int) -> Expression:
    """Return the condition that the sum is within the limit; a missing item counts as 0 bytes."""
    fits = "#bytes <= :room" if more > limit else "(attribute_not_exists(#bytes) OR #bytes <= :room)"
    return Expression(fits, {"room": limit - more})
