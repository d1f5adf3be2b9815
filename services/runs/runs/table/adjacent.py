"""Items that are stored beside a run, in its partition."""

from services.runs.runs.table.items import run_key
from shared.storage.items import key_of
from shared.storage.store import Store
from shared.storage.transaction import MAX_ACTIONS, Expression, Transaction


def adjacent(tenant_id: str, run_id: str, start: str, end: str) -> Expression:
    """Return the condition of the items in a run's partition from one sort key to another, both included."""
    values = {"pk": run_key(tenant_id, run_id).pk, "start": start, "end": end}
    return Expression("#PK = :pk AND #SK BETWEEN :start AND :end", values)


def delete_adjacent(store: Store, tenant_id: str, run_id: str, *, prefix: str) -> int:
    """Delete the items in a run's partition whose sort keys begin with the prefix, and return their number."""
    keys = [key_of(item) for item in store.query_all(adjacent(tenant_id, run_id, prefix, f"{prefix}~"))]
    for start in range(0, len(keys), MAX_ACTIONS):
        transaction = Transaction(tenant_id, is_step=True)
        for key in keys[start : start + MAX_ACTIONS]:
            transaction.delete(key)
        store.commit(transaction)
    return len(keys)
