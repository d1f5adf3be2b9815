"""The tenant's own queue: its runs that wait for a slot, oldest first."""

from collections.abc import Iterator
from itertools import islice

from services.runs.runs.domain.run import Run
from shared.storage.items import Key, key_of
from shared.storage.table import TenantRows
from shared.storage.transaction import Expression, Transaction


class BacklogTable(TenantRows):
    """The queue of one tenant. A row has nothing but the key, which ends in the id of its run."""

    def oldest(self, *, limit: int) -> list[str]:
        """Return the ids of the runs that have waited longest, at most `limit`."""
        page = self.store.query(Expression("#PK = :pk", {"pk": self._pk}), limit=limit)
        return [key_of(item).sk for item in page.items]

    def run_ids(self) -> Iterator[str]:
        """Return the ids of all waiting runs, oldest first."""
        return (key_of(item).sk for item in self.items_below(self._pk))

    def count(self, *, at_most: int) -> int:
        """Return the number of waiting runs; counting ends at `at_most`."""
        return sum(1 for _ in islice(self.run_ids(), at_most))

    def update(self, transaction: Transaction, after: Run, *, before: Run | None = None) -> None:
        """Add or remove a run in the transaction that changes it.

        Args:
            transaction: the transaction.
            after: the changed run.
            before: the run before the change; None if it is new.
        """
        key, waited = Key(self._pk, after.run_id), before is not None and before.waits_for_slot
        if after.waits_for_slot and not waited:
            transaction.put(key.attributes)
        elif waited and not after.waits_for_slot:
            transaction.delete(key)

    @property
    def _pk(self) -> str:
        return self.partition("BACKLOG")
