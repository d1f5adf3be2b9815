"""Second subscriptions of a tenant, from when they are found until they are ended and refunded."""

from collections.abc import Iterator
from datetime import datetime

from services.billing.domain.subscription import Subscription
from services.billing.table import SLICE
from shared.storage.items import Key, Reader
from shared.storage.store import Store
from shared.storage.transaction import ABSENT, PRESENT, Expression, Transaction, refuse_with
from shared.times import to_text

QUEUE = "DUPLICATE"
"""The queue of those that still cost money."""

_PREFIX = "DUPLICATE#"


class AlreadyNoted(Exception):
    """The duplicate is recorded."""


def add_duplicate(store: Store, tenant_id: str, duplicate: Subscription, *, kept_id: str, now: datetime) -> None:
    """Record a duplicate, due at once.

    Raises:
        AlreadyNoted: it is recorded.
    """
    transaction = Transaction(tenant_id)
    transaction.put(
        {
            **_key(tenant_id, duplicate.subscription_id).attributes,
            "tenant_id": tenant_id,
            "subscription_id": duplicate.subscription_id,
            "kept_id": kept_id,
            "plan": duplicate.plan,
            "found_at": to_text(now),
            "ended_at": None,
            "refunded_cents": 0,
            "due_pk": SLICE.due_key(QUEUE),
            "due_sk": to_text(now),
        },
        when=ABSENT,
        otherwise=refuse_with(AlreadyNoted()),
    )
    store.commit(transaction)


def finish_duplicate(store: Store, tenant_id: str, subscription_id: str, *, refunded_cents: int, now: datetime) -> None:
    """Note that a duplicate is ended and refunded, and take it out of the queue."""
    change = Expression(
        "SET #ended_at = :ended_at, #refunded_cents = :refunded_cents REMOVE #due_pk, #due_sk",
        {"ended_at": to_text(now), "refunded_cents": refunded_cents},
    )
    store.update(_key(tenant_id, subscription_id), change, when=PRESENT)


def open_duplicates(store: Store, tenant_id: str) -> Iterator[str]:
    """Return the ids of the duplicates that are not ended and refunded."""
    condition = Expression(
        "#PK = :pk AND #SK BETWEEN :first AND :last",
        {"pk": SLICE.key(tenant_id), "first": _PREFIX, "last": f"{_PREFIX}~"},
    )
    for item in store.query_all(condition):
        if Reader(item).optional_text("ended_at") is None:
            yield Reader(item).text("subscription_id")


def subscription_id_of(key: Key) -> str:
    """Return the id of the duplicate under a key that the queue has named."""
    return key.sk.removeprefix(_PREFIX)


def _key(tenant_id: str, subscription_id: str) -> Key:
    return Key(SLICE.key(tenant_id), f"{_PREFIX}{subscription_id}")
