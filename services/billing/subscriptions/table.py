"""The lease to open a checkout page, which one request at a time can hold, and duplicate subscriptions."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.billing.customers.domain.subscription import Subscription
from services.billing.errors import CheckoutInProgress
from services.billing.partitions import SLICE
from shared.plans import Plan
from shared.storage.codec import Codec
from shared.storage.due import DueIndex
from shared.storage.items import Value
from shared.storage.table import TenantTable, setting
from shared.storage.transaction import PRESENT, Expression, refuse_with
from shared.times import to_text

LEASE_DURATION = timedelta(seconds=35)
"""Longer than the maximum duration of a request (29 s), so a request cannot outlive its lease."""


@dataclass(frozen=True, slots=True)
class CheckoutLease:
    """The lease of the request that opens a checkout page."""

    lease_until: datetime


class CheckoutLeaseTable(TenantTable[CheckoutLease]):
    """The lease of one tenant."""

    prefix = "CHECKOUT"
    codec = Codec(CheckoutLease)

    def acquire(self, *, now: datetime) -> datetime:
        """Acquire the lease; return the time at which it ends.

        Raises:
            CheckoutInProgress: another request holds the lease.
        """
        ends_at = now + LEASE_DURATION
        free = Expression("attribute_not_exists(PK) OR #lease_until <= :now", {"now": to_text(now)})
        if self.store.try_update(self.key(), self.setting(lease_until=ends_at), when=free):
            raise CheckoutInProgress
        return ends_at

    def release(self, *, ends_at: datetime, now: datetime) -> None:
        """Release the lease, unless another request holds it by now."""
        ours = self.equal(lease_until=ends_at)
        self.store.try_update(self.key(), self.setting(lease_until=now), when=ours)


DUPLICATES = DueIndex(SLICE, "DUPLICATE")
"""The place in the `due` index of duplicates that are not ended and refunded."""


@dataclass(frozen=True, slots=True)
class DuplicateSubscription:
    """A second subscription of a tenant, for which it pays twice."""

    subscription_id: str
    current_id: str
    """The subscription that remains."""
    plan: Plan
    found_at: datetime
    ended_at: datetime | None = None
    refunded_cents: int = 0


class DuplicateAlreadyRecorded(Exception):
    """The duplicate is already recorded."""


class DuplicateTable(TenantTable[DuplicateSubscription]):
    """The duplicates of one tenant."""

    prefix, id_field = "DUPLICATE#", "subscription_id"
    codec = Codec(DuplicateSubscription, names={"current_id": "kept_id"})

    def indexed(self, record: DuplicateSubscription) -> Mapping[str, Value]:
        """Return the tenant, and the place in the queue, in which a duplicate is due at once."""
        return {"tenant_id": self.tenant_id, **DUPLICATES.place(record.found_at)}

    def create(self, duplicate: Subscription, *, current_id: str, now: datetime) -> None:
        """Record a duplicate, due at once.

        Raises:
            DuplicateAlreadyRecorded: the duplicate is already recorded.
        """
        record = DuplicateSubscription(duplicate.subscription_id, current_id, duplicate.plan, found_at=now)
        transaction = self.transaction()
        self.add(transaction, record, otherwise=refuse_with(DuplicateAlreadyRecorded()))
        self.store.commit(transaction)

    def finish(self, subscription_id: str, *, refunded_cents: int, now: datetime) -> None:
        """Record that a duplicate is ended and refunded, and remove it from the queue."""
        ended = self.codec.values(ended_at=now, refunded_cents=refunded_cents)
        self.store.update(self.key(subscription_id), setting({**ended, "due_pk": None, "due_sk": None}), when=PRESENT)

    def open_ids(self) -> Iterator[str]:
        """Yield the ids of the duplicates that are not ended and refunded."""
        return (duplicate.subscription_id for duplicate in self.all() if duplicate.ended_at is None)
