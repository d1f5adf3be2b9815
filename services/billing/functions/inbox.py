"""The queue of received webhooks."""

from services.billing.stripe_webhooks.consumer import handle_webhook
from services.billing.stripe_webhooks.schemas import WebhookMessage
from shared.messaging.queue import QueueConsumer

handler = QueueConsumer("billing.inbox", WebhookMessage, handle_webhook)
