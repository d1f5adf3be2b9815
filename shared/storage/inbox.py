"""Inbox marks of handled events: a second delivery of an event changes nothing."""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.declaration import Slice
from shared.storage.items import Key, Value
from shared.storage.transaction import ABSENT, Transaction, refuse_with
from shared.times import epoch

MARK_RETENTION = timedelta(days=35)


class AlreadyHandled(Exception):
    """The effect of the event was applied before."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery of one event to one consumer."""

    consumer: str
    """The consuming function; every function has marks of its own."""
    event_id: str
    received_at: datetime

    def mark_key(self, owned: Slice, tenant_id: str) -> Key:
        """Return the key of the mark, in one of 16 partitions, all of which the removal of a tenant reads."""
        spread = hashlib.sha256(self.event_id.encode()).hexdigest()[0]
        return Key(owned.key(tenant_id, "INBOX", spread), f"{self.event_id}#{self.consumer}")

    def mark(self, transaction: Transaction, owned: Slice) -> None:
        """Add the mark to a transaction, so that it is applied at most once for this event."""
        key = self.mark_key(owned, transaction.tenant_id)
        item: dict[str, Value] = {**key.attributes, "ttl": epoch(self.received_at + MARK_RETENTION)}
        transaction.put(item, when=ABSENT, otherwise=refuse_with(AlreadyHandled(self.event_id)))
