"""Tenants whose end waits until Stripe has their remaining usage."""

from datetime import datetime

from services.billing.partitions import SLICE
from shared.storage.codec import Codec
from shared.storage.due import DueIndex
from shared.storage.inbox import Delivery
from shared.storage.table import TenantTable

CLOSINGS = DueIndex(SLICE, "CLOSING")
"""The place of postponed ends in the `due` index, by the time of the next attempt."""


class ClosingTable(TenantTable[Delivery]):
    """The delivery of the event that ends one tenant; none unless its end is postponed."""

    prefix = "CLOSING"
    codec = Codec(Delivery)

    def save(self, delivery: Delivery, *, due_at: datetime) -> None:
        """Store the event that ends the tenant. Idempotent."""
        transaction = self.transaction(is_step=True)
        transaction.put({**self.item(delivery), "tenant_id": self.tenant_id, **CLOSINGS.place(due_at)})
        self.store.commit(transaction)

    def remove(self) -> None:
        """Delete a completed end."""
        self.store.remove([self.key()])
