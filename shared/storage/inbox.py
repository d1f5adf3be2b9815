"""Marks of what was handled: a second delivery of the same event changes nothing."""

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

    def key(self, tenant_id: str, owned: Slice) -> Key:
        """Where its mark lies."""
        return Key(owned.key(tenant_id, "INBOX", self.event_id), self.consumer)

    def mark(self, transaction: Transaction, owned: Slice) -> None:
        """Make the transaction happen at most once for this event."""
        key = self.key(transaction.tenant_id, owned)
        item: dict[str, Value] = {**key.attributes, "ttl": epoch(self.received_at + KEPT)}
        transaction.put(item, when=ABSENT, otherwise=refuse_with(AlreadyHandled(self.event_id)))
