"""Events of the billing service."""

from datetime import datetime
from typing import ClassVar, Literal

from shared.events.envelope import EventData


class BillingEvent(EventData):
    """Base of the events of the billing service."""

    OWNER: ClassVar[str] = "billing"


class SubscriptionChanged(BillingEvent):
    """The billing of a tenant changed. The event holds the full state, and `seq` is counted by billing."""

    TYPE: ClassVar[str] = "subscription.changed.v1"

    plan: str
    billing: Literal["manual", "stripe"]
    status: Literal["active", "suspended_by_billing"]
    subscription_status: str | None = None
    """Stripe's status of the subscription; null without a subscription."""
    grace_until: datetime | None = None
    """The time until which an unpaid tenant stays active."""


class InvoiceEvent(BillingEvent):
    """An event of an invoice; the subject is the invoice's id."""

    invoice_id: str
    amount_cents: int
    currency: str
    period_start: datetime
    period_end: datetime


class InvoicePaid(InvoiceEvent):
    """An invoice was paid."""

    TYPE: ClassVar[str] = "invoice.paid.v1"


class InvoicePaymentFailed(InvoiceEvent):
    """An attempt to collect an invoice failed."""

    TYPE: ClassVar[str] = "invoice.payment_failed.v1"


class UsageSynced(BillingEvent):
    """All usage of a tenant that is being deleted has been sent, as far as it is billed."""

    TYPE: ClassVar[str] = "usage.synced.v1"
