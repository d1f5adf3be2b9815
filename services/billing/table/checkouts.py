"""The right to open a checkout of a tenant: one request at a time has it."""

from datetime import datetime, timedelta

from services.billing.errors import CheckoutInProgress
from services.billing.table import SLICE
from shared.storage.items import Key
from shared.storage.store import Store
from shared.storage.transaction import Expression
from shared.times import to_text

LEASE = timedelta(seconds=35)
"""Longer than a request may take (29 s), so that one that has lost the lease does nothing any more."""


def acquire_lease(store: Store, tenant_id: str, *, now: datetime) -> datetime:
    """Take the lease; return when it ends.

    Raises:
        CheckoutInProgress: another request has it.
    """
    ends_at = now + LEASE
    free = Expression("attribute_not_exists(PK) OR #lease_until <= :now", {"now": to_text(now)})
    taken = Expression("SET #lease_until = :ends_at", {"ends_at": to_text(ends_at)})
    if store.try_update(_key(tenant_id), taken, when=free):
        raise CheckoutInProgress
    return ends_at


def release_lease(store: Store, tenant_id: str, *, ends_at: datetime, now: datetime) -> None:
    """Give the lease back, unless it is another one's by now."""
    ours = Expression("#lease_until = :ends_at", {"ends_at": to_text(ends_at)})
    store.try_update(_key(tenant_id), Expression("SET #lease_until = :now", {"now": to_text(now)}), when=ours)


def _key(tenant_id: str) -> Key:
    return Key(SLICE.key(tenant_id), "CHECKOUT")
