"""The consumer of usage, of finished runs, and of the states of tenants."""

from services.metering import wiring
from services.metering.hours import consumer as hours
from services.metering.ingestion import consumer as ingestion
from services.metering.run_statistics import consumer as run_statistics
from services.metering.tenants import consumer as tenants
from shared.messaging.consumer import EventConsumer

handler = EventConsumer(
    wiring.CONSUMER,
    ingestion.events,
    run_statistics.events,
    tenants.events,
    hours.events,
    is_deleted=wiring.is_deleted,
)

CONTROL = (*tenants.events.types, *hours.events.types)
"""Event types that have a queue of their own, so that they do not wait behind usage."""
