"""How many bytes of a tenant's runs lie in the bucket: one number, counted from the events that say so."""

from services.runs.table import SLICE
from shared.storage.inbox import Delivery
from shared.storage.items import Key, Reader
from shared.storage.store import Store
from shared.storage.transaction import Expression, Transaction


def stored_bytes(store: Store, tenant_id: str) -> int:
    """What lies there now, give or take the events that are on their way."""
    return Reader(store.get(storage_key(tenant_id)) or {}).optional_integer("bytes") or 0


def count_bytes(store: Store, tenant_id: str, delivery: Delivery, *, more: int) -> None:
    """Add to the number, once for each event.

    Raises:
        AlreadyHandled: it was.
    """
    transaction = Transaction(tenant_id)
    delivery.mark(transaction, SLICE)
    transaction.update(storage_key(tenant_id), Expression("ADD #bytes :more", {"more": more}))
    store.commit(transaction)


def storage_key(tenant_id: str) -> Key:
    """Where the number lies."""
    return Key(SLICE.key(tenant_id), "STORAGE")
