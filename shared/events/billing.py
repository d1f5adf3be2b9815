"""What the billing service says."""

from datetime import datetime
from typing import ClassVar, Literal

from shared.events.envelope import EventData


class BillingEvent(EventData):
    """The owner of these events."""

    OWNER: ClassVar[str] = "billing"


class SubscriptionChanged(BillingEvent):
    """What a tenant is billed by, and what follows from it; the full state. `seq` is billing's own."""

    TYPE: ClassVar[str] = "subscription.changed.v1"

    plan: str
    billing: Literal["manual", "stripe"]
    status: Literal["active", "suspended_by_billing"]
    subscription_status: str | None = None
    """In Stripe's words; None where there is no subscription."""
    grace_until: datetime | None = None
    """Until when an unpaid tenant stays active."""


class InvoiceEvent(BillingEvent):
    """An invoice; the subject is its id."""

    invoice_id: str
    amount_cents: int
    currency: str
    period_start: datetime
    period_end: datetime


class InvoicePaid(InvoiceEvent):
    """An invoice was paid."""

    TYPE: ClassVar[str] = "invoice.paid.v1"


class InvoicePaymentFailed(InvoiceEvent):
    """An attempt to collect an invoice has failed."""

    TYPE: ClassVar[str] = "invoice.payment_failed.v1"


class UsageSynced(BillingEvent):
    """The last usage of a tenant that is being deleted is where it must be."""

    TYPE: ClassVar[str] = "usage.synced.v1"
