"""HTTP API for Stripe's webhooks, which belong to no tenant."""

from aws_lambda_powertools.event_handler import Request, Response

from services.billing import wiring
from services.billing.errors import BadSignature
from services.billing.stripe_webhooks.gateway import verify
from services.billing.stripe_webhooks.operations import receive
from services.billing.stripe_webhooks.schemas import WebhookResponse
from shared.http.call import CurrentCall
from shared.http.responses import ok
from shared.http.router import Router
from shared.metrics import WEBHOOK_FAILURES
from shared.observability import report

router = Router()


@router.route("POST", "/v1/webhooks/stripe", min_role=None, statuses=(200,))
def receive_stripe_webhook(call: CurrentCall, request: Request) -> Response[WebhookResponse]:
    """Receive a webhook from Stripe, authenticated by its signature."""
    body, header = request.body or "", request.headers.get("stripe-signature")
    try:
        verify(body, header, secret=wiring.secret().webhook_secret, now=call.now)
    except BadSignature:
        report("webhook refused", {WEBHOOK_FAILURES: 1}, request_id=call.request_id)
        raise
    return ok(WebhookResponse(received=receive(wiring.slice_store(), wiring.inbox(), body, now=call.now)))
