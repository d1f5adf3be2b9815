"""The event after which a tenant has no more usage."""

from services.billing import wiring
from services.billing.closing.operations import close_or_postpone
from shared.events.envelope import Event
from shared.events.metering import UsageTenantClosed
from shared.messaging.consumer import EventRouter
from shared.storage.inbox import Delivery

events = EventRouter()


@events.on(UsageTenantClosed)
def close_tenant(event: Event[UsageTenantClosed], delivery: Delivery) -> None:
    """Send the remaining usage, end the subscription and publish `usage.synced`. An outage postpones this."""
    close_or_postpone(
        wiring.slice_store(),
        wiring.find_stripe_gateway(),
        event.tenant_id,
        delivery=delivery,
        now=delivery.received_at,
    )
