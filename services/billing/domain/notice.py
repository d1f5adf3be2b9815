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

NoticeState = Literal["received", "done"]


@dataclass(frozen=True, slots=True)
class Notice:
    """One webhook, as much of it as is kept."""

    event_id: str
    type: str
    customer_id: str
    invoice_id: str | None
    state: NoticeState = "received"


def notice_of(payload: Mapping[str, Any]) -> Notice | None:
    """What to look at because of this webhook; None for one that is of no concern here."""
    if payload.get("type") not in HANDLED or payload.get("api_version") != API_VERSION:
        return None
    subject = _object(payload)
    customer_id = _id(subject.get("id") if subject.get("object") == "customer" else subject.get("customer"))
    if customer_id is None:
        return None
    invoice_id = _id(subject.get("id") if subject.get("object") == "invoice" else subject.get("invoice"))
    return Notice(str(payload["id"]), str(payload["type"]), customer_id, invoice_id)


def _object(payload: Mapping[str, Any]) -> Mapping[str, Any]:
    data: object = payload.get("data")
    found: object = cast("Mapping[str, Any]", data).get("object") if isinstance(data, Mapping) else None
    return cast("Mapping[str, Any]", found) if isinstance(found, Mapping) else {}


def _id(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
