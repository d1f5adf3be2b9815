"""Responses of the invoices API."""

from typing import Self

from services.billing.invoices import domain
from shared.http.responses import ListResponse, ResponseBody
from shared.schema import DocumentedModel
from shared.times import Rfc3339


class MeteredHour(DocumentedModel):
    """The usage of one hour in a line of an invoice."""

    hour: Rfc3339
    """The start of the hour."""
    rev: int
    """0 for the hour itself, above 0 for a correction that arrived later, below 0 for a repair."""
    quantity: int
    """In the unit of the line; negative if a correction reduces the usage."""
    carried: bool
    """Whether the usage arrived after the invoice of its own period was final."""
    identifier: str
    """The identifier of the meter event at Stripe."""
    usage_events: str
    """The URL of the hour's usage events, each with its run, relative to the request's URL."""


class InvoiceLine(DocumentedModel):
    """One line of an invoice."""

    line_id: str
    item: str
    """`base`, the meter with its unit, or `other`."""
    description: str
    quantity: int | None
    """Null for lines without a quantity."""
    amount_cents: int
    """In cents of the invoice's currency; negative for a credit."""
    period_start: Rfc3339
    period_end: Rfc3339
    proration: bool
    """Whether the line is the credit or the charge of a change within a period."""
    hours: list[MeteredHour] | None = None
    """The hours that add up to the quantity; null for lines without a meter and in lists of invoices."""
    hours_omitted: int = 0
    """The number of hours and corrections that are not listed. An invoice lists at most 8,000."""


class Invoice(DocumentedModel):
    """An invoice."""

    invoice_id: str
    number: str | None
    """Stripe's number; null until the invoice is final."""
    status: str
    """`draft`, `open`, `paid`, `uncollectible` or `void`."""
    currency: str
    """Three letters in lower case, for example `usd`."""
    amount_cents: int
    """The total, in cents of `currency`."""
    credited_cents: int
    """The amount that was refunded or credited after the payment, in cents of `currency`."""
    period_start: Rfc3339
    period_end: Rfc3339
    created_at: Rfc3339
    hosted_url: str | None
    """The page at Stripe on which the invoice can be paid; null until the invoice is final."""
    lines: list[InvoiceLine]
    """At most 250 lines, and one line for the rest."""

    @classmethod
    def of(cls, invoice: domain.Invoice, lines: list[InvoiceLine]) -> Self:
        """Return the response body of an invoice."""
        return cls(
            invoice_id=invoice.invoice_id,
            number=invoice.number,
            status=invoice.status,
            currency=invoice.currency,
            amount_cents=invoice.amount_cents,
            credited_cents=invoice.credited_cents,
            period_start=invoice.period.start,
            period_end=invoice.period.end,
            created_at=invoice.created_at,
            hosted_url=invoice.hosted_url,
            lines=lines,
        )


class InvoicesResponse(ListResponse):
    """A page of invoices, newest first."""

    invoices: list[Invoice]


class InvoiceResponse(ResponseBody):
    """The response with one invoice."""

    invoice: Invoice
