"""Records of hours, in one partition per month."""

from collections.abc import Iterator
from datetime import datetime
from typing import ClassVar, TypeVar

from services.billing.customers.domain.period import RESOLUTION, BillingPeriod, hour_text, month_text, months_of
from shared.storage.items import Key
from shared.storage.store import Store
from shared.storage.table import TenantTable

T = TypeVar("T")

_MONTH_CHARS = len("2026-11")


class MonthlyTable(TenantTable[T]):
    """The records of one tenant by their hour, with which every id begins."""

    prefix = ""
    name: ClassVar[str]
    """The name in the partition keys, before the month."""

    def __init__(self, store: Store, tenant_id: str) -> None:
        super().__init__(store, tenant_id, self.name)

    def key(self, record_id: str = "") -> Key:
        """Return the key of a record, in the partition of its month."""
        return Key(self.partition(self.name, record_id[:_MONTH_CHARS]), record_id)

    def from_hour(self, first: datetime, period: BillingPeriod) -> Iterator[T]:
        """Yield the records of the hours from the first until the end of the period, in that order."""
        last = f"{hour_text(period.end - RESOLUTION)}#~"
        for month in months_of(period):
            pk = self.partition(self.name, month_text(month))
            yield from map(self.decode, self.items_between(pk, hour_text(first), last))
