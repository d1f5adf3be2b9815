"""HTTP in: Stripe's webhooks. The handler of an application of its own, which acts for no tenant."""

from aws_lambda_powertools.event_handler import Response

from services.billing import wiring
from services.billing.errors import BadSignature
from services.billing.gateways.signature import verify
from services.billing.operations import webhooks
from shared.http.answers import Answer, ok
from shared.http.app import HttpApp
from shared.http.call import CurrentCall
from shared.metrics import WEBHOOK_FAILURES
from shared.observability import report

app = HttpApp()


class WebhookAnswer(Answer):
    """What became of a webhook."""

    received: bool
    """False: it is of no concern here."""


@app.route("POST", "/v1/webhooks/stripe", least=None, statuses=(200,))
def receive_webhook(call: CurrentCall) -> Response[WebhookAnswer]:
    """Take a webhook of Stripe: its signature is its token."""
    event = app.resolver.current_event
    body, header = event.body or "", event.headers.get("stripe-signature")
    try:
        verify(body, header, secret=wiring.secret().webhook_secret, now=call.now)
    except BadSignature:
        report("webhook refused", {WEBHOOK_FAILURES: 1}, request_id=call.request_id)
        raise
    return ok(WebhookAnswer(received=webhooks.receive(wiring.slice_store(), wiring.inbox(), body, now=call.now)))
