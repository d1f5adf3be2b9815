"""The inbox of webhooks and the index of Stripe customers. Only the webhook functions and the sweep can access them."""

from datetime import datetime, timedelta

from services.billing.errors import WebhookAlreadyReceived
from services.billing.partitions import SLICE
from services.billing.stripe_webhooks.domain import WebhookEvent
from shared.storage.codec import Codec
from shared.storage.due import DueEntry, DueIndex
from shared.storage.items import Key, Reader
from shared.storage.store import Store
from shared.storage.table import setting
from shared.storage.transaction import ABSENT, Expression, Transaction
from shared.times import epoch

KEY_PATTERN = "STRIPE#*"
"""The pattern of these keys."""

WEBHOOKS = DueIndex(SLICE, "NOTICE")
"""The place of unhandled webhooks in the `due` index, by the time at which the sweep handles them."""

_SWEEP_DELAY = timedelta(minutes=10)
"""Until then, the inbox's own queue delivers them."""
_RETENTION = timedelta(days=35)
_NO_TENANT = SLICE.name
"""Placeholder for the tenant of a transaction that belongs to none. Such a transaction emits no events."""
_UNHANDLED = Expression("#state = :received", {"received": "received"})
_WEBHOOKS = Codec(WebhookEvent, flat={"payment": ""}, given=("event_id",), always=("state",))


class ReceivedWebhooks:
    """The webhooks of all tenants, since a webhook names none."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, webhook: WebhookEvent, *, now: datetime) -> None:
        """Store a webhook for 35 days.

        Raises:
            WebhookAlreadyReceived: the webhook is already stored; `done` shows whether it is handled.
        """
        transaction = Transaction(_NO_TENANT)
        transaction.put(
            {
                **_webhook_key(webhook.event_id).attributes,
                **_WEBHOOKS.encode(webhook),
                **WEBHOOKS.place(now + _SWEEP_DELAY),
                "ttl": epoch(now + _RETENTION),
            },
            when=ABSENT,
            otherwise=lambda existing: WebhookAlreadyReceived(
                done=Reader(existing or {}).optional_text("state") == "done"
            ),
        )
        self._store.commit(transaction)

    def find(self, event_id: str) -> WebhookEvent | None:
        """Return a webhook, or None."""
        item = self._store.get(_webhook_key(event_id))
        return None if item is None else _WEBHOOKS.decode(item, event_id=event_id)

    def finish(self, event_id: str) -> bool:
        """Mark a webhook as handled, and remove it from the queue. Return False if another delivery was faster."""
        done = setting({**_WEBHOOKS.values(state="done"), "due_pk": None, "due_sk": None})
        return self._store.update(_webhook_key(event_id), done, when=_UNHANDLED) is not None

    @staticmethod
    def event_id_of(entry: DueEntry) -> str:
        """Return the event id of a webhook in the queue."""
        return entry.key.pk.removeprefix("STRIPE#")


class StripeCustomers:
    """The tenants of Stripe's customers, for webhooks."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def find_tenant(self, customer_id: str) -> str | None:
        """Return the tenant of a customer, or None if no lookup has stored it."""
        item = self._store.get(_customer_key(customer_id))
        return Reader(item).text("tenant_id") if item else None

    def save_tenant(self, customer_id: str, *, tenant_id: str) -> None:
        """Store the tenant of a customer."""
        transaction = Transaction(_NO_TENANT)
        transaction.put({**_customer_key(customer_id).attributes, "tenant_id": tenant_id})
        self._store.commit(transaction)


def _webhook_key(event_id: str) -> Key:
    return Key(f"STRIPE#{event_id}", "NOTICE")


def _customer_key(customer_id: str) -> Key:
    return Key(f"STRIPE#{customer_id}", "CUSTOMER")
