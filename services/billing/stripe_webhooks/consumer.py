"""Messages of the webhook queue."""

from services.billing import wiring
from services.billing.stripe_webhooks.operations import handle_or_postpone
from services.billing.stripe_webhooks.schemas import WebhookMessage
from shared.metrics import WEBHOOK_FAILURES
from shared.observability import report
from shared.times import utc_now


def handle_webhook(message: WebhookMessage) -> None:
    """Handle a stored webhook."""
    outcome, failures = "webhook failed", 1
    try:
        if handle_or_postpone(wiring.slice_store(), wiring.stripe_gateway(), message.event_id, now=utc_now()):
            outcome, failures = "webhook handled", 0
        else:
            outcome = "webhook postponed"
    finally:
        report(outcome, {WEBHOOK_FAILURES: failures}, event_id=message.event_id)
