"""Events that change the copy of a tenant's state."""

from services.metering import wiring
from shared.copies.tenant_access import TENANT_STATES
from shared.events.envelope import Event
from shared.events.tenants import TenantState
from shared.messaging.consumer import EventRouter
from shared.storage.inbox import Delivery

events = EventRouter()


@events.on(*TENANT_STATES)
def update_tenant(event: Event[TenantState], _: Delivery) -> None:
    """Update the copy of the tenant. `seq` makes a repeated event harmless."""
    wiring.copies().keep(event)
