"""The consumer of summaries, which it receives after a delay."""

from services.metering import wiring
from services.metering.summaries import consumer as summaries
from shared.messaging.consumer import EventConsumer

handler = EventConsumer("metering.summarizer", summaries.events, is_deleted=wiring.is_deleted)
