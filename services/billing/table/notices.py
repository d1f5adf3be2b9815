"""The inbox of webhooks and the index of customers: keys of no tenant, which the webhook functions alone may touch."""

from datetime import datetime, timedelta
from typing import cast

from services.billing.domain.notice import Notice, NoticeState, PaymentRef
from services.billing.errors import AlreadyReceived
from services.billing.table import SLICE
from shared.storage.items import Key, Reader
from shared.storage.store import Store
from shared.storage.transaction import ABSENT, PRESENT, Expression, Transaction
from shared.times import epoch, to_text

KEYS = "STRIPE#*"
"""The pattern of these keys."""

QUEUE = "NOTICE"
"""The queue of webhooks that are not handled, by the time at which the sweep takes them over."""

_TAKEN_OVER_AFTER = timedelta(minutes=10)
"""Until then the inbox's own queue brings them."""
_KEPT = timedelta(days=35)
_NOBODY = SLICE.name
"""Stands for the tenant of a transaction that is of none; it emits no events."""


def add_notice(store: Store, notice: Notice, *, now: datetime) -> None:
    """Keep a webhook.

    Raises:
        AlreadyReceived: it is there, in the state that the error says.
    """
    transaction = Transaction(_NOBODY)
    transaction.put(
        {
            **_notice_key(notice.event_id).attributes,
            "type": notice.type,
            "customer_id": notice.customer_id,
            "invoice_id": notice.invoice_id,
            "state": notice.state,
            "payment_intent_id": notice.payment.payment_intent_id if notice.payment else None,
            "charge_id": notice.payment.charge_id if notice.payment else None,
            "due_pk": SLICE.due_key(QUEUE),
            "due_sk": to_text(now + _TAKEN_OVER_AFTER),
            "ttl": epoch(now + _KEPT),
        },
        when=ABSENT,
        otherwise=lambda there: AlreadyReceived(done=Reader(there or {}).optional_text("state") == "done"),
    )
    store.commit(transaction)


def find_notice(store: Store, event_id: str) -> Notice | None:
    """A webhook, or None."""
    item = store.get(_notice_key(event_id))
    if item is None:
        return None
    reader = Reader(item)
    return Notice(
        event_id=event_id,
        type=reader.text("type"),
        customer_id=reader.optional_text("customer_id"),
        invoice_id=reader.optional_text("invoice_id"),
        state=cast("NoticeState", reader.text("state")),
        payment=_payment_of(reader),
    )


def _payment_of(reader: Reader) -> PaymentRef | None:
    payment = PaymentRef(reader.optional_text("payment_intent_id"), reader.optional_text("charge_id"))
    return payment if payment.payment_intent_id or payment.charge_id else None


def event_id_of(key: Key) -> str:
    """Return the id of the webhook under a key that the queue has named."""
    return key.pk.removeprefix("STRIPE#")


def finish_notice(store: Store, event_id: str) -> None:
    """Note that a webhook needs no more work, and take it out of the queue."""
    done = Expression("SET #state = :done REMOVE #due_pk, #due_sk", {"done": "done"})
    store.update(_notice_key(event_id), done, when=PRESENT)


def find_tenant(store: Store, customer_id: str) -> str | None:
    """The tenant of a customer at Stripe, as far as it was ever looked up."""
    item = store.get(_customer_key(customer_id))
    return Reader(item).text("tenant_id") if item else None


def keep_tenant(store: Store, customer_id: str, *, tenant_id: str) -> None:
    """Remember whose customer this is."""
    transaction = Transaction(_NOBODY)
    transaction.put({**_customer_key(customer_id).attributes, "tenant_id": tenant_id})
    store.commit(transaction)


def _notice_key(event_id: str) -> Key:
    return Key(f"STRIPE#{event_id}", "NOTICE")


def _customer_key(customer_id: str) -> Key:
    return Key(f"STRIPE#{customer_id}", "CUSTOMER")
