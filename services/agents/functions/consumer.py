"""The consumer of other services' events."""

from services.agents import wiring
from services.agents.agents.consumer import events
from shared.messaging.consumer import EventConsumer

handler = EventConsumer("agents.consumer", events, is_deleted=wiring.is_deleted)
