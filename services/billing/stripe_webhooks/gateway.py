"""Gateways of webhooks: their signature, their queue, and the objects at Stripe that they refer to."""

import json
import re
from datetime import datetime
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from services.billing.errors import BadSignature, PaymentsUnavailable
from services.billing.invoices.gateway import InvoiceGateway, StripeInvoiceGateway
from services.billing.stripe_api.gateway.objects import read_or_none
from services.billing.stripe_webhooks.domain import PaymentRef
from services.billing.subscriptions.gateway.subscriptions import StripeSubscriptionGateway, SubscriptionGateway
from services.billing.usage_sync.gateway import MeterEventGateway, StripeMeterEventGateway
from shared.times import epoch


class Inbox(Protocol):
    """The queue of received webhooks."""

    def put(self, event_id: str) -> None:
        """Queue a webhook.

        Raises:
            PaymentsUnavailable: the queue is unavailable; Stripe will send the webhook again.
        """
        ...


class SqsInbox:
    """The queue in SQS."""

    def __init__(self, client: Any, *, url: str) -> None:  # noqa: ANN401 — botocore makes clients from data
        self._client = client
        self._url = url

    def put(self, event_id: str) -> None:
        """See `Inbox.put`."""
        try:
            self._client.send_message(QueueUrl=self._url, MessageBody=json.dumps({"event_id": event_id}))
        except (BotoCoreError, ClientError) as error:
            raise PaymentsUnavailable from error


MAX_AGE_S = 300
CLOCK_TOLERANCE_S = 60
"""The tolerance for a clock that is ahead of ours. The SDK itself accepts any timestamp in the future."""


def verify(body: str, header: str | None, *, secret: str, now: datetime) -> None:
    """Verify that a webhook has Stripe's signature and a recent timestamp.

    Args:
        body: the unmodified body; any change invalidates the signature.
        header: the header `Stripe-Signature`.
        secret: the signing secret of the endpoint.
        now: the time.

    Raises:
        BadSignature: the signature or the timestamp is missing or invalid.
    """
    import stripe

    stamp = re.search(r"(?:^|,)t=(\d{1,12})(?:,|$)", header or "")
    if stamp is None or not -MAX_AGE_S <= int(stamp[1]) - epoch(now) <= CLOCK_TOLERANCE_S:
        raise BadSignature
    try:
        stripe.WebhookSignature.verify_header(body, header, secret)  # pyright: ignore[reportUnknownMemberType]  # untyped there
    except stripe.SignatureVerificationError as error:
        raise BadSignature from error


class BillingGateway(SubscriptionGateway, MeterEventGateway, InvoiceGateway, Protocol):
    """Customers, checkouts, subscriptions, invoices, payments and meter events at Stripe."""

    def customer_of_payment(self, payment: PaymentRef) -> str | None:
        """Return the id of the customer who paid, or None if Stripe has no such payment or no customer for it."""
        ...


class StripeBillingGateway(StripeSubscriptionGateway, StripeMeterEventGateway, StripeInvoiceGateway):
    """See `BillingGateway`."""

    def customer_of_payment(self, payment: PaymentRef) -> str | None:
        """See `BillingGateway.customer_of_payment`."""
        payload = None
        if payment.payment_intent_id:
            payload = read_or_none(lambda: self._client.payment_intents.retrieve(payment.payment_intent_id))
        if payload is None and payment.charge_id:
            payload = read_or_none(lambda: self._client.charges.retrieve(payment.charge_id))
        return payload.get("customer") if payload else None
