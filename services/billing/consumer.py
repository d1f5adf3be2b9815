"""All that is not HTTP: the events of tenants."""

from services.billing import operations, wiring
from shared.copies.tenant_access import TENANT_CHANGES
from shared.events.envelope import Event
from shared.events.tenants import TenantCreated, TenantState
from shared.messaging.consumer import EventConsumer
from shared.storage.inbox import Delivery

consumer = EventConsumer("billing.consumer")


@consumer.on(TenantCreated)
def create_customer(event: Event[TenantCreated], _: Delivery) -> None:
    """The tenant is a customer, and its copy is as new as the event; both are harmless the second time."""
    wiring.copies().keep(event)
    operations.create_customer(wiring.slice_store(), event)


@consumer.on(*TENANT_CHANGES)
def keep_tenant(event: Event[TenantState], _: Delivery) -> None:
    """The copy of the tenant is as new as the event."""
    wiring.copies().keep(event)
