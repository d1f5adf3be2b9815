"""The billing slice.

TENANT#<t>#BILLING    CUSTOMER       the tenant as a customer
TENANT#<t>#BILLING    COPY#TENANT    what is known of the tenant
"""

from services.billing.domain import BillingMode, Customer
from services.billing.errors import CustomerExists
from shared.declaration import Slice, Table
from shared.events.envelope import Event, EventData
from shared.plans import Plan
from shared.storage.items import Item, Key, Reader, Value
from shared.storage.store import Store
from shared.storage.traces import Traces
from shared.storage.transaction import ABSENT, Transaction, refuse_with
from shared.times import from_text, to_text

SLICE = Slice("BILLING", Table.TENANTS)
TRACES = Traces(keeps=("",))
"""The books keep all that stands in the slice's own partition; it names nobody but the tenant's id."""


def find_customer(store: Store, tenant_id: str) -> Customer | None:
    """The tenant's customer record, or None."""
    item = store.get(_customer_key(tenant_id))
    return _customer_from_item(item) if item else None


def add_customer(store: Store, tenant_id: str, customer: Customer) -> None:
    """Write a new customer.

    Raises:
        CustomerExists: the tenant has one.
    """
    transaction = Transaction(tenant_id)
    transaction.put(_customer_to_item(customer), when=ABSENT, otherwise=refuse_with(CustomerExists()))
    store.commit(transaction)


def say(store: Store, tenant_id: str, event: Event[EventData]) -> None:
    """Say something that follows from nothing but what was heard; said again, it is the same event."""
    transaction = Transaction(tenant_id)
    transaction.emit(event)
    store.commit(transaction)


def _customer_key(tenant_id: str) -> Key:
    return Key(SLICE.key(tenant_id), "CUSTOMER")


def _customer_to_item(customer: Customer) -> dict[str, Value]:
    return {
        **_customer_key(customer.tenant_id).attributes,
        "tenant_id": customer.tenant_id,
        "plan": customer.plan,
        "billing": customer.billing,
        "created_at": to_text(customer.created_at),
        "seq": customer.seq,
    }


def _customer_from_item(item: Item) -> Customer:
    reader = Reader(item)
    return Customer(
        tenant_id=reader.text("tenant_id"),
        plan=Plan(reader.text("plan")),
        billing=BillingMode(reader.text("billing")),
        created_at=from_text(reader.text("created_at")),
        seq=reader.integer("seq"),
    )
