"""The storage record of each tenant."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from services.metering.counters.domain.hours import hour_from_text, hour_to_text
from services.metering.partitions import SLICE
from services.metering.storage.domain import HourlyChanges, StorageChange, StorageState
from shared.storage.codec import Codec, Conversion
from shared.storage.due import DueIndex
from shared.storage.inbox import Delivery
from shared.storage.items import Item, Value
from shared.storage.table import TenantTable
from shared.storage.transaction import Expression

DUE = DueIndex(SLICE, "STORAGE")
"""By the time at which the next hour can be counted."""
_CHANGES = Codec(HourlyChanges, always=("bytes", "byte_ms"))


def _changes_to_list(changes: Mapping[datetime, HourlyChanges]) -> list[Value]:
    return [{"hour": hour_to_text(hour), **_CHANGES.encode(of_hour)} for hour, of_hour in changes.items()]


def _changes_from_list(stored: Iterable[Item]) -> dict[datetime, HourlyChanges]:
    return {hour_from_text(str(item["hour"])): _CHANGES.decode(item) for item in stored}


class StorageTable(TenantTable[StorageState]):
    """The storage record of one tenant. Its times are hours."""

    prefix = "STORAGE"
    codec = Codec(
        StorageState,
        names={"bytes_at_start": "bytes_then"},
        always=("bytes_at_start",),
        conversions={
            datetime: Conversion(hour_to_text, hour_from_text),
            Mapping[datetime, HourlyChanges]: Conversion(_changes_to_list, _changes_from_list),
        },
    )

    def indexed(self, record: StorageState) -> Mapping[str, Value]:
        """Return the place in the queue of hours to count, if there is any."""
        return DUE.place(record.due_at, self.tenant_id) if record.due_at else {}

    def read(self) -> StorageState:
        """Return the tenant's storage."""
        return self.find() or StorageState()

    def save(self, before: StorageState, after: StorageState, *, deliveries: Iterable[Delivery] = ()) -> bool:
        """Write the tenant's storage, with an inbox mark for each delivery.

        Returns:
            False if the storage or a mark was written meanwhile.
        """
        transaction = self.transaction()
        for delivery in deliveries:
            delivery.mark(transaction, SLICE)
        is_unchanged = Expression("attribute_not_exists(PK) OR #seq = :before", {"before": before.seq})
        transaction.put(self.item(after), when=is_unchanged)
        return not self.store.try_commit(transaction)

    def without_applied(self, changes: Mapping[Delivery, StorageChange]) -> dict[Delivery, StorageChange]:
        """Return the changes that are not applied yet."""
        keys = {delivery: delivery.mark_key(SLICE, self.tenant_id) for delivery in changes}
        handled = self.store.get_many(list(dict.fromkeys(keys.values())))
        return {delivery: change for delivery, change in changes.items() if keys[delivery] not in handled}
