"""What the billing service can do: load, decide, save."""

from services.billing import domain, table
from services.billing.domain import Customer
from services.billing.errors import CustomerExists
from shared.copies.patience import read_until_there
from shared.events.envelope import Event
from shared.events.metering import UsageTenantClosed
from shared.events.tenants import TenantCreated
from shared.storage.store import Store


def create_customer(store: Store, event: Event[TenantCreated]) -> None:
    """Make a new tenant a customer; one that is there stays as it is."""
    try:
        table.add_customer(store, event.tenant_id, domain.customer_of(event))
    except CustomerExists:
        return


def get_customer(store: Store, tenant_id: str) -> Customer:
    """The tenant's customer record.

    Raises:
        DependencyUnavailable: nothing has been heard of the tenant yet.
    """
    return read_until_there(lambda: table.find_customer(store, tenant_id))


def finish_sync(store: Store, event: Event[UsageTenantClosed]) -> None:
    """Say that the last usage of a tenant that is being deleted is where it must be."""
    table.say(store, event.tenant_id, domain.finish_sync(event))
