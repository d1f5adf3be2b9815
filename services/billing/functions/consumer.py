"""The events of tenants and of their usage."""

from services.billing import wiring
from services.billing.closing import consumer as closing
from services.billing.customers import consumer as customers
from services.billing.usage_sync import consumer as usage_sync
from shared.messaging.consumer import EventConsumer

handler = EventConsumer(
    "billing.consumer", customers.events, usage_sync.events, closing.events, is_deleted=wiring.is_deleted
)
