"""The tenant's own queue: its runs that wait for a slot, oldest first."""

from collections.abc import Iterator
from itertools import islice

from services.runs.partitions import SLICE
from shared.storage.items import Item, Key, key_of
from shared.storage.store import Store
from shared.storage.transaction import Expression

PARTITION = "BACKLOG"


class BacklogTable:
    """The queues of one slice. An entry is written and deleted in the transaction that changes its run."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def oldest(self, tenant_id: str, *, limit: int) -> list[str]:
        """Return the ids of the runs that have waited longest, at most `limit`."""
        page = self._store.query(_partition(tenant_id), limit=limit)
        return [key_of(item).sk for item in page.items]

    def run_ids(self, tenant_id: str) -> Iterator[str]:
        """Return the ids of all waiting runs, oldest first."""
        return (key_of(item).sk for item in self._store.query_all(_partition(tenant_id)))

    def count(self, tenant_id: str, *, at_most: int) -> int:
        """Return the number of waiting runs; counting ends at `at_most`."""
        return sum(1 for _ in islice(self.run_ids(tenant_id), at_most))


def backlog_key(tenant_id: str, run_id: str) -> Key:
    """Return the key of a run's entry."""
    return Key(SLICE.key(tenant_id, PARTITION), run_id)


def backlog_item(tenant_id: str, run_id: str) -> Item:
    """Return a run's entry."""
    return backlog_key(tenant_id, run_id).attributes


def _partition(tenant_id: str) -> Expression:
    return Expression("#PK = :pk", {"pk": SLICE.key(tenant_id, PARTITION)})
