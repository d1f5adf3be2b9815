"""The shapes of billing's bodies: a plan, what it costs, invoices, and the pages on which a person pays."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field

from services.billing.domain import cost, customer, invoice
from shared.http.answers import Answer, ListAnswer
from shared.plans import PRICES
from shared.plans import Plan as PlanName
from shared.times import Rfc3339

Url = Annotated[str, Field(pattern=r"^https?://[^\s]+$", max_length=2_000)]


class PlanPrices(BaseModel):
    """What a plan costs, in USD; the metered prices apply from the first unit."""

    model_config = ConfigDict(from_attributes=True)

    base_cents_per_month: int
    token_in_nano_usd: int
    token_out_nano_usd: int
    storage_gb_month_nano_usd: int
    egress_gb_nano_usd: int


class Prorated(BaseModel):
    """What a change of plan at once gives back and asks for, in cents."""

    model_config = ConfigDict(from_attributes=True)

    credit_cents: int
    charge_cents: int


class Plan(BaseModel):
    """What the tenant is billed by."""

    plan: str
    billing: str
    """`manual`: usage is counted and nothing is collected by machine."""
    status: str
    subscription_status: str | None
    """As Stripe calls it."""
    grace_until: Rfc3339 | None
    """Until when the tenant goes on although a payment has failed."""
    period_start: Rfc3339 | None
    period_end: Rfc3339 | None
    next_plan: str | None
    """What it becomes at the end of the period."""
    prices: PlanPrices
    proration: Prorated | None = None
    """Of the change that was just made."""

    @classmethod
    def of(cls, found: customer.Customer, *, proration: cost.Proration | None = None) -> Self:
        """The plan as it is shown."""
        subscription = found.subscription
        paying = found.paying
        return cls(
            plan=found.plan,
            billing=found.billing,
            status=found.status,
            subscription_status=subscription.state if subscription else None,
            grace_until=found.grace_until,
            period_start=paying.period.start if paying else None,
            period_end=paying.period.end if paying else None,
            next_plan=paying.next_plan if paying else None,
            prices=PlanPrices.model_validate(PRICES[found.plan]),
            proration=Prorated.model_validate(proration) if proration else None,
        )


class PlanPatch(BaseModel):
    """Another plan."""

    model_config = ConfigDict(extra="forbid")

    plan: PlanName | None = None


class BillLine(BaseModel):
    """One line of a bill: quantity times unit price."""

    model_config = ConfigDict(from_attributes=True)

    item: str
    """`base`, or the meter with its unit."""
    quantity: int
    unit_price_cents: str
    charge_nano_usd: int
    """Before it is rounded to cents."""
    amount_cents: int


class Bill(BaseModel):
    """Lines and their sum."""

    model_config = ConfigDict(from_attributes=True)

    lines: list[BillLine]
    charge_nano_usd: int
    amount_cents: int


class Cost(BaseModel):
    """What the current period costs."""

    plan: str
    billing: str
    period_start: Rfc3339
    period_end: Rfc3339
    counted_until: Rfc3339
    """The end of the newest hour that is counted."""
    so_far: Bill
    forecast: Bill
    """Of the whole period, if usage goes on as it did until then."""


class UsedHour(BaseModel):
    """What one hour has added to a line."""

    hour: Rfc3339
    rev: int
    """Above 0: a correction that came later."""
    quantity: int
    carried: bool
    """It came too late for its own period."""
    identifier: str
    """Of the meter event at Stripe."""
    usage_events: str
    """Where the usage events of the hour are, each with its run."""


class InvoiceLine(BaseModel):
    """One line of an invoice."""

    line_id: str
    item: str
    description: str
    quantity: int | None
    amount_cents: int
    period_start: Rfc3339
    period_end: Rfc3339
    proration: bool
    hours: list[UsedHour] | None = None
    """What the quantity adds up, for a metered line of one invoice."""
    hours_omitted: int = 0
    """Hours and corrections that are not listed, since an invoice lists at most 8,000."""


class Invoice(BaseModel):
    """An invoice."""

    invoice_id: str
    number: str | None
    status: str
    currency: str
    amount_cents: int
    credited_cents: int
    """Refunded or credited after the payment."""
    period_start: Rfc3339
    period_end: Rfc3339
    created_at: Rfc3339
    hosted_url: str | None
    lines: list[InvoiceLine]

    @classmethod
    def of(cls, found: invoice.Invoice, lines: list[InvoiceLine]) -> Self:
        """The invoice as it is shown."""
        return cls(
            invoice_id=found.invoice_id,
            number=found.number,
            status=found.status,
            currency=found.currency,
            amount_cents=found.amount_cents,
            credited_cents=found.credited_cents,
            period_start=found.period.start,
            period_end=found.period.end,
            created_at=found.created_at,
            hosted_url=found.hosted_url,
            lines=lines,
        )


class NewCheckout(BaseModel):
    """What to subscribe to."""

    model_config = ConfigDict(extra="forbid")

    plan: PlanName
    success_url: Url | None = None
    cancel_url: Url | None = None


class Checkout(BaseModel):
    """A page on which a person begins to pay."""

    checkout_id: str
    plan: str
    url: str
    expires_at: Rfc3339


class NewPortal(BaseModel):
    """Where to go back to."""

    model_config = ConfigDict(extra="forbid")

    return_url: Url | None = None


class Portal(BaseModel):
    """A page with cards, invoices and the subscription."""

    url: str


class PlanAnswer(Answer):
    """The tenant's plan."""

    plan: Plan


class CostAnswer(Answer):
    """What the current period costs."""

    usage: Cost


class InvoicesAnswer(ListAnswer):
    """A page of invoices, newest first."""

    invoices: list[Invoice]


class InvoiceAnswer(Answer):
    """One invoice."""

    invoice: Invoice


class CheckoutAnswer(Answer):
    """A checkout."""

    checkout: Checkout


class PortalAnswer(Answer):
    """A portal."""

    portal: Portal
