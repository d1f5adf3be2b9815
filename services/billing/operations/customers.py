"""Customers: made with their tenant, and kept as Stripe has them."""

from collections.abc import Callable, Sequence
from datetime import datetime

from services.billing.domain import customer as rules
from services.billing.domain import invoice as invoices
from services.billing.domain.customer import Customer
from services.billing.domain.subscription import current_of, duplicates_of
from services.billing.errors import CustomerChanged, CustomerExists, InvoiceChanged
from services.billing.gateways.payments import Payments
from services.billing.operations.duplicates import note_duplicates
from services.billing.table.customers import add_customer, find_customer, save_customer
from services.billing.table.invoices import find_invoice, save_invoice
from shared.copies.patience import read_until_there
from shared.events.billing import BillingEvent
from shared.events.envelope import Event
from shared.events.tenants import TenantState
from shared.storage.store import Store

_TRIES = 8
"""How often somebody else may be quicker before the work is put off."""

Decide = Callable[[Customer], tuple[Customer, Sequence[Event[BillingEvent]]]]


def create_customer(store: Store, event: Event[TenantState]) -> None:
    """Make a new tenant a customer; one that is there stays as it is."""
    try:
        add_customer(store, rules.customer_of(event))
    except CustomerExists:
        return


def hear_of_tenant(store: Store, event: Event[TenantState]) -> None:
    """Take over what an operator has changed; the event may be the first that is heard of the tenant."""
    create_customer(store, event)
    change_customer(store, event.tenant_id, lambda customer: (rules.hear(customer, event), ()))


def get_customer(store: Store, tenant_id: str) -> Customer:
    """The tenant's customer record.

    Raises:
        DependencyUnavailable: nothing has been heard of the tenant yet.
    """
    return read_until_there(lambda: find_customer(store, tenant_id))


def change_customer(store: Store, tenant_id: str, decide: Decide) -> Customer:
    """Decide on the record as it is, and write unless it has changed meanwhile, else again.

    Raises:
        CustomerChanged: it changes all the time.
    """
    for _ in range(_TRIES):
        customer = get_customer(store, tenant_id)
        changed, events = decide(customer)
        if changed == customer:
            return customer
        try:
            save_customer(store, changed, *events)
        except CustomerChanged:
            continue
        return changed
    raise CustomerChanged


def link_customer(store: Store, payments: Payments, tenant_id: str) -> Customer:
    """The tenant with its counterpart at Stripe, which is made if it is missing."""
    customer = get_customer(store, tenant_id)
    if customer.stripe_customer_id:
        return customer
    made = payments.create_customer(tenant_id)
    return change_customer(
        store, tenant_id, lambda there: (there if there.stripe_customer_id else rules.linked(there, made), ())
    )


def refresh_subscription(store: Store, payments: Payments, tenant_id: str, *, now: datetime) -> Customer:
    """Take over the subscription as Stripe has it now. Asked after the record was read, so nothing older is written.

    A second subscription that goes on is recorded, and ended by the sweep.
    """

    def decide(customer: Customer) -> tuple[Customer, Sequence[Event[BillingEvent]]]:
        if customer.stripe_customer_id is None:
            return customer, ()
        found = payments.subscriptions_of(customer.stripe_customer_id)
        current = current_of(found, known_id=customer.subscription and customer.subscription.subscription_id)
        if current is None:
            return customer, ()
        note_duplicates(store, tenant_id, duplicates_of(current, found), kept=current, now=now)
        return rules.subscribed(customer, current, now=now)

    return change_customer(store, tenant_id, decide)


def refresh_invoice(store: Store, payments: Payments, tenant_id: str, invoice_id: str, *, now: datetime) -> None:
    """Take over an invoice as Stripe has it now.

    Raises:
        InvoiceChanged: it changes all the time.
    """
    for _ in range(_TRIES):
        before = find_invoice(store, tenant_id, invoice_id)
        current = payments.invoice(invoice_id)
        after = invoices.next_of(before, current)
        if after is None:
            return
        try:
            save_invoice(store, tenant_id, after, *invoices.news_of(before, after, tenant_id=tenant_id, now=now))
        except InvoiceChanged:
            continue
        return
    raise InvoiceChanged
