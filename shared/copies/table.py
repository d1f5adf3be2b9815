"""Tables of copies: what a service keeps of another service's records, from its events."""

from typing import Protocol, TypeVar

from shared.storage.items import Value
from shared.storage.store import Store
from shared.storage.table import TenantTable
from shared.storage.transaction import Expression, Transaction


class Copy(Protocol):
    """A record with the sequence number of the event that it is from."""

    @property
    def seq(self) -> int:
        """The number that the owning service counts up with each change."""
        ...


T = TypeVar("T", bound=Copy)


class CopyTable(TenantTable[T]):
    """The copies of one type of record of one tenant."""

    def keep(self, copy: T) -> None:
        """Store a copy, unless a newer one is stored, so that the order of events does not matter."""
        write_if_newer(self.store, self.tenant_id, self.item(copy))


def write_if_newer(store: Store, tenant_id: str, copy: dict[str, Value]) -> None:
    """Write a copy only over one with a lower `seq`, so that the order of events does not matter."""
    transaction = Transaction(tenant_id)
    newer = Expression("attribute_not_exists(PK) OR #seq < :seq", {"seq": copy["seq"]})
    transaction.put(copy, when=newer)
    store.try_commit(transaction)
