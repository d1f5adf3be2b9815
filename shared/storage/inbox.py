"""Marks of what was handled: a second delivery of the same event changes nothing."""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.declaration import Slice
from shared.storage.items import Key, Value
from shared.storage.transaction import ABSENT, Transaction, refuse_with
from shared.times import epoch

KEPT = timedelta(days=35)


class AlreadyHandled(Exception):
    """This event's effect is there already."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery of one event to one consumer."""

    consumer: str
    """The function that consumes: another one has a mark of its own."""
    event_id: str
    received_at: datetime

    def mark_key(self, owned: Slice, tenant_id: str) -> Key:
        """Where its mark lies: in one of 16 partitions, which a removal of the tenant finds."""
        spread = hashlib.sha256(self.event_id.encode()).hexdigest()[0]
        return Key(owned.key(tenant_id, "INBOX", spread), f"{self.event_id}#{self.consumer}")

    def mark(self, transaction: Transaction, owned: Slice) -> None:
        """Make the transaction happen at most once for this event."""
        key = self.mark_key(owned, transaction.tenant_id)
        item: dict[str, Value] = {**key.attributes, "ttl": epoch(self.received_at + KEPT)}
        transaction.put(item, when=ABSENT, otherwise=refuse_with(AlreadyHandled(self.event_id)))
