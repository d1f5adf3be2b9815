"""Summaries that are published again after their interval."""

from services.metering import wiring
from services.metering.summaries import operations
from shared.events.envelope import Event
from shared.events.metering import UsageSummarized
from shared.messaging.consumer import EventRouter
from shared.storage.inbox import Delivery
from shared.times import utc_now

events = EventRouter()


@events.on(UsageSummarized)
def publish_pending(event: Event[UsageSummarized], _: Delivery) -> None:
    """Publish the usage that was counted during the interval after a summary.

    The queue delays the event until that interval is over.
    """
    operations.publish_pending(wiring.slice_store(), event.tenant_id, event.data.month, now=utc_now())
