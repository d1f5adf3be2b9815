"""Tenants whose end waits until Stripe has their last usage."""

from datetime import datetime

from services.billing.table import SLICE
from shared.storage.inbox import Delivery
from shared.storage.items import Key, Reader
from shared.storage.store import Store
from shared.storage.transaction import Transaction
from shared.times import from_text, to_text

QUEUE = "CLOSING"
"""The queue of ends, by the time of the next attempt."""


def save_closing(store: Store, tenant_id: str, delivery: Delivery, *, due_at: datetime) -> None:
    """Keep the event that asks for the end, over the same one."""
    transaction = Transaction(tenant_id, is_step=True)
    transaction.put(
        {
            **_key(tenant_id).attributes,
            "tenant_id": tenant_id,
            "consumer": delivery.consumer,
            "event_id": delivery.event_id,
            "received_at": to_text(delivery.received_at),
            "due_pk": SLICE.due_key(QUEUE),
            "due_sk": to_text(due_at),
        }
    )
    store.commit(transaction)


def find_closing(store: Store, tenant_id: str) -> Delivery | None:
    """Return the event that asks for the tenant's end, if that waits."""
    item = store.get(_key(tenant_id))
    if item is None:
        return None
    reader = Reader(item)
    return Delivery(reader.text("consumer"), reader.text("event_id"), from_text(reader.text("received_at")))


def remove_closing(store: Store, tenant_id: str) -> None:
    """Forget an end that has come."""
    store.remove([_key(tenant_id)])


def _key(tenant_id: str) -> Key:
    return Key(SLICE.key(tenant_id), "CLOSING")
