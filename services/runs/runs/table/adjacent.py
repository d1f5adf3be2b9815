"""Rows that are stored beside a run, in its partition."""

from shared.storage.items import key_of
from shared.storage.table import TenantRows
from shared.storage.transaction import MAX_ACTIONS, Expression


class AdjacentRows(TenantRows):
    """The rows beside the runs of one tenant."""

    def run_partition(self, run_id: str) -> str:
        """Return the partition key of a run."""
        return self.partition("RUN", run_id)

    def between(self, run_id: str, first: str, last: str) -> Expression:
        """Return the condition of the rows of a run from one sort key to another, both included."""
        values = {"pk": self.run_partition(run_id), "first": first, "last": last}
        return Expression("#PK = :pk AND #SK BETWEEN :first AND :last", values)

    def delete_below(self, run_id: str, prefix: str) -> int:
        """Delete the rows of a run whose sort keys have a prefix, and return their number."""
        keys = [key_of(item) for item in self.items_below(self.run_partition(run_id), prefix)]
        for start in range(0, len(keys), MAX_ACTIONS):
            transaction = self.transaction(is_step=True)
            for key in keys[start : start + MAX_ACTIONS]:
                transaction.delete(key)
            self.store.commit(transaction)
        return len(keys)
