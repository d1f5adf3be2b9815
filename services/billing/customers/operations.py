"""Customers, created with their tenant and updated from Stripe."""

from collections.abc import Callable, Sequence

from services.billing.customers.domain import customer as rules
from services.billing.customers.domain.customer import Customer
from services.billing.customers.gateway import CustomerGateway
from services.billing.customers.table import CustomerTable
from services.billing.errors import CustomerExists
from shared.copies.retry import read_until_present
from shared.events.billing import BillingEvent
from shared.events.envelope import Event
from shared.events.tenants import TenantState
from shared.storage.retry import retry_on_conflict
from shared.storage.store import Store

_MAX_ATTEMPTS = 8
"""Maximum number of attempts while concurrent writers change the record."""

Decide = Callable[[Customer], tuple[Customer, Sequence[Event[BillingEvent]]]]


def create_customer(store: Store, event: Event[TenantState]) -> None:
    """Create a customer for a new tenant. Idempotent."""
    try:
        CustomerTable(store, event.tenant_id).create(rules.new_customer(event))
    except CustomerExists:
        return


def apply_tenant_event(store: Store, event: Event[TenantState]) -> None:
    """Apply an event of the tenant to its customer, and create the customer if it does not exist."""
    create_customer(store, event)
    update_customer(store, event.tenant_id, lambda customer: (rules.apply_event(customer, event), ()))


def get_customer(store: Store, tenant_id: str) -> Customer:
    """Return the tenant's customer record.

    Raises:
        DependencyUnavailable: no event of the tenant has arrived yet.
    """
    return read_until_present(CustomerTable(store, tenant_id).find)


def update_customer(store: Store, tenant_id: str, decide: Decide) -> Customer:
    """Apply a decision to the customer record, and retry if the record changes in the meantime.

    Raises:
        CustomerChanged: the record changed during every attempt.
    """

    def attempt() -> Customer:
        customer = get_customer(store, tenant_id)
        changed, events = decide(customer)
        if changed == customer:
            return customer
        CustomerTable(store, tenant_id).save(changed, *events)
        return changed

    return retry_on_conflict(attempt, max_attempts=_MAX_ATTEMPTS)


def link_customer(store: Store, gateway: CustomerGateway, tenant_id: str) -> Customer:
    """Return the customer with its id at Stripe. Create it there if it does not exist."""
    customer = get_customer(store, tenant_id)
    if customer.stripe_customer_id:
        return customer
    stripe_customer_id = gateway.create_customer(tenant_id)
    return update_customer(
        store,
        tenant_id,
        lambda current: (
            current if current.stripe_customer_id else rules.link_to_stripe(current, stripe_customer_id),
            (),
        ),
    )
