"""Webhooks: Stripe's notice that something has changed. What it is now is always asked of Stripe itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

API_VERSION = "2026-08-26.dahlia"
"""The version that the SDK is made for; notices of another one are not for this endpoint."""

METER_ERRORS = "v1.billing.meter.error_report_triggered"
"""Stripe could not count some meter events; it names none of them, so that someone must look."""

HANDLED = frozenset(
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
"""After each of these the customer's subscription, and the invoice that is named, are read again."""

DISPUTE_TYPES = frozenset({"charge.dispute.created", "charge.dispute.closed"})
"""Their object names a charge and no customer. https://docs.stripe.com/api/disputes/object."""

CHECKOUT_COMPLETED = "checkout.session.completed"

NoticeState = Literal["received", "done"]


@dataclass(frozen=True, slots=True)
class PaymentRef:
    """By what Stripe knows a payment."""

    payment_intent_id: str | None
    charge_id: str | None


@dataclass(frozen=True, slots=True)
class Notice:
    """One webhook, as much of it as is kept."""

    event_id: str
    type: str
    customer_id: str | None
    """None: the object names only the payment."""
    invoice_id: str | None
    state: NoticeState = "received"
    payment: PaymentRef | None = None


def notice_of(payload: Mapping[str, Any]) -> Notice | None:
    """What to look at because of this webhook; None for one that is of no concern here."""
    if payload.get("type") not in HANDLED or payload.get("api_version") != API_VERSION:
        return None
    subject = _object(payload)
    customer_id = _id(subject.get("id") if subject.get("object") == "customer" else subject.get("customer"))
    payment = _payment(subject) if subject.get("object") == "dispute" else None
    if customer_id is None and payment is None:
        return None
    invoice_id = _id(subject.get("id") if subject.get("object") == "invoice" else subject.get("invoice"))
    return Notice(str(payload["id"]), str(payload["type"]), customer_id, invoice_id, payment=payment)


def _payment(subject: Mapping[str, Any]) -> PaymentRef | None:
    payment = PaymentRef(_reference(subject.get("payment_intent")), _reference(subject.get("charge")))
    return payment if payment.payment_intent_id or payment.charge_id else None


def _object(payload: Mapping[str, Any]) -> Mapping[str, Any]:
    data: object = payload.get("data")
    found: object = cast("Mapping[str, Any]", data).get("object") if isinstance(data, Mapping) else None
    return cast("Mapping[str, Any]", found) if isinstance(found, Mapping) else {}


def _id(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _reference(value: object) -> str | None:
    """Return the id of an object that is named or included."""
    return _id(cast("Mapping[str, Any]", value).get("id") if isinstance(value, Mapping) else value)
