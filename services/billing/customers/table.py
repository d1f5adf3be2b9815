"""Customers and their subscriptions."""

from collections.abc import Mapping

from services.billing.customers.domain.customer import Customer
from services.billing.customers.domain.subscription import Subscription
from services.billing.errors import CustomerChanged, CustomerExists
from services.billing.partitions import SLICE
from shared.events.billing import BillingEvent
from shared.events.envelope import Event
from shared.storage.codec import Codec
from shared.storage.due import DueIndex
from shared.storage.items import Key, Value
from shared.storage.store import Store
from shared.storage.table import TenantTable
from shared.storage.transaction import Expression, refuse_with

GRACE = DueIndex(SLICE, "GRACE")
"""The place of tenants in the `due` index, by the end of their grace period."""
_KNOWN_PK = SLICE.due_key("KNOWN")
"""The key in the `due` index of all present and former customers, by their ids."""
_SUBSCRIPTIONS = Codec(
    Subscription,
    names={"past_due_since": "failing_since", "plan_changed_at": "counts_since"},
    flat={"period": "period_"},
    given=("tenant_id",),
)


class CustomerTable(TenantTable[Customer]):
    """The customer record of one tenant."""

    prefix, revision = "CUSTOMER", "rev"
    codec = Codec(
        Customer,
        names={"last_event_seq": "heard_seq"},
        always=("status",),
        conversions={Subscription: _SUBSCRIPTIONS.conversion},
    )
    not_found, changed = CustomerChanged, CustomerChanged

    def indexed(self, record: Customer) -> Mapping[str, Value]:
        """Return the place in the queue of grace periods."""
        return GRACE.place(record.grace_until) if record.grace_until and record.status == "active" else {}

    def create(self, customer: Customer) -> None:
        """Write a new customer.

        Raises:
            CustomerExists: the tenant already has a customer record.
        """
        transaction = self.transaction()
        self.add(transaction, customer, otherwise=refuse_with(CustomerExists()))
        due = {"due_pk": _KNOWN_PK, "due_sk": self.tenant_id}
        transaction.put({**_known_key(self.tenant_id).attributes, "tenant_id": self.tenant_id, **due})
        self.store.commit(transaction)

    def save(self, customer: Customer, *events: Event[BillingEvent]) -> None:
        """Replace the preceding revision of a customer record, and publish the events.

        Raises:
            CustomerChanged: the record changed after it was read.
        """
        transaction = self.transaction()
        self.replace(transaction, customer)
        transaction.emit(*events)
        self.store.commit(transaction)


class AllCustomers:
    """The tenants of all present and former customers. Only for operators."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def page(self, *, limit: int, after: str | None) -> tuple[list[str], str | None]:
        """Return a page of ids of tenants, and the start of the next page."""
        start = {"due_pk": _KNOWN_PK, "due_sk": after, **_known_key(after).attributes} if after else None
        known = Expression("#due_pk = :pk", {"pk": _KNOWN_PK})
        page = self._store.query(known, index="due", limit=limit, resume_after=start)
        tenant_ids = [str(item["due_sk"]) for item in page.items]
        return tenant_ids, tenant_ids[-1] if page.resume_after and tenant_ids else None


def _known_key(tenant_id: str) -> Key:
    return Key(SLICE.key(tenant_id), "KNOWN")
