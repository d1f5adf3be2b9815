"""Responses of the webhook API, and the messages of the webhook queue."""

from shared.http.responses import ResponseBody
from shared.schema import DocumentedModel


class WebhookResponse(ResponseBody):
    """The response to a webhook."""

    received: bool
    """False if billing does not handle this type or API version of webhook."""


class WebhookMessage(DocumentedModel):
    """A stored webhook to handle."""

    event_id: str
