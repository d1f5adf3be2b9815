"""Events of tenants."""

from services.billing import wiring
from services.billing.customers import operations
from services.billing.errors import PaymentsUnavailable
from shared.copies.tenant_access import TENANT_CHANGES
from shared.events.envelope import Event
from shared.events.tenants import TenantCreated, TenantDeletionRequested, TenantState
from shared.messaging.consumer import EventRouter
from shared.observability import logger
from shared.storage.inbox import Delivery

events = EventRouter()


@events.on(TenantCreated)
def create_customer(event: Event[TenantCreated], _: Delivery) -> None:
    """Create the copy of the tenant and its customer record, here and at Stripe.

    If Stripe is unavailable, the first checkout creates the customer there.
    """
    wiring.copies().keep(event)
    operations.apply_tenant_event(wiring.slice_store(), event)
    try:
        if gateway := wiring.find_stripe_gateway():
            operations.link_customer(wiring.slice_store(), gateway, event.tenant_id)
    except PaymentsUnavailable as error:
        logger.warning("tenant not created at Stripe", tenant_id=event.tenant_id, reason=str(error))


@events.on(*TENANT_CHANGES, TenantDeletionRequested)
def update_tenant(event: Event[TenantState], _: Delivery) -> None:
    """Update the copy of the tenant, and its plan unless Stripe collects."""
    wiring.copies().keep(event)
    operations.apply_tenant_event(wiring.slice_store(), event)
