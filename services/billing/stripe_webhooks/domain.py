"""Webhooks as events that announce a change. The current state is always read from Stripe itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

API_VERSION = "2026-08-26.dahlia"
"""The API version of the SDK. Webhooks of another version are ignored."""

METER_ERRORS = "v1.billing.meter.error_report_triggered"
"""Stripe could not count some meter events. The webhook does not identify them, so an operator must find them. It has
no API version, customer or object. https://docs.stripe.com/event-destinations#thin-events"""

HANDLED_TYPES = frozenset(
    {
        "checkout.session.completed",
        "checkout.session.async_payment_succeeded",
        "checkout.session.async_payment_failed",
        "checkout.session.expired",
        "customer.updated",
        "customer.deleted",
        "customer.subscription.created",
        "customer.subscription.updated",
        "customer.subscription.deleted",
        "customer.subscription.paused",
        "customer.subscription.resumed",
        "customer.subscription.trial_will_end",
        "invoice.created",
        "invoice.finalized",
        "invoice.finalization_failed",
        "invoice.paid",
        "invoice.payment_failed",
        "invoice.payment_action_required",
        "invoice.updated",
        "invoice.voided",
        "invoice.marked_uncollectible",
        "charge.refunded",
        "charge.dispute.created",
        "charge.dispute.closed",
    }
)
"""Types after which the customer's subscription, and the invoice if one is named, are read again."""

DISPUTE_TYPES = frozenset({"charge.dispute.created", "charge.dispute.closed"})
"""Types whose object names a charge and no customer. https://docs.stripe.com/api/disputes/object."""

CHECKOUT_COMPLETED = "checkout.session.completed"

WebhookState = Literal["received", "done"]


@dataclass(frozen=True, slots=True)
class PaymentRef:
    """The ids of a payment at Stripe."""

    payment_intent_id: str | None
    charge_id: str | None


@dataclass(frozen=True, slots=True)
class WebhookEvent:
    """The stored part of a webhook."""

    event_id: str
    type: str
    customer_id: str | None
    """None if the object names only the payment."""
    invoice_id: str | None
    state: WebhookState = "received"
    payment: PaymentRef | None = None
    meter_id: str | None = None
    """The meter whose events could not be counted."""


def parse_webhook(payload: Mapping[str, Any]) -> WebhookEvent | None:
    """Return the event of a webhook, or None if billing does not handle it."""
    if payload.get("type") == METER_ERRORS:
        meter_id = _reference(payload.get("related_object"))
        return WebhookEvent(str(payload["id"]), METER_ERRORS, customer_id=None, invoice_id=None, meter_id=meter_id)
    if payload.get("type") not in HANDLED_TYPES or payload.get("api_version") != API_VERSION:
        return None
    subject = _object(payload)
    customer_id = _id(subject.get("id") if subject.get("object") == "customer" else subject.get("customer"))
    payment = _payment(subject) if subject.get("object") == "dispute" else None
    if customer_id is None and payment is None:
        return None
    invoice_id = _id(subject.get("id") if subject.get("object") == "invoice" else subject.get("invoice"))
    return WebhookEvent(str(payload["id"]), str(payload["type"]), customer_id, invoice_id, payment=payment)


def _payment(subject: Mapping[str, Any]) -> PaymentRef | None:
    payment = PaymentRef(_reference(subject.get("payment_intent")), _reference(subject.get("charge")))
    return payment if payment.payment_intent_id or payment.charge_id else None


def _object(payload: Mapping[str, Any]) -> Mapping[str, Any]:
    data: object = payload.get("data")
    subject: object = cast("Mapping[str, Any]", data).get("object") if isinstance(data, Mapping) else None
    return cast("Mapping[str, Any]", subject) if isinstance(subject, Mapping) else {}


def _id(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _reference(value: object) -> str | None:
    """Return the id of an object that is either expanded or referred to by its id."""
    return _id(cast("Mapping[str, Any]", value).get("id") if isinstance(value, Mapping) else value)
