"""Responses of the invoices API."""

from typing import Self

from services.billing.invoices import domain
from shared.http.responses import ListResponse, ResponseBody
from shared.schema import DocumentedModel
from shared.times import Rfc3339


class MeteredHour(DocumentedModel):
    """The usage of one hour in a line of an invoice."""

    hour: Rfc3339
    rev: int
    """0 for the hour itself, above 0 for a correction that arrived later, below 0 for a repair."""
    quantity: int
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
    description: str
    quantity: int | None
    amount_cents: int
    period_start: Rfc3339
    period_end: Rfc3339
    proration: bool
    hours: list[MeteredHour] | None = None
    """The hours that add up to the quantity; null for lines without a meter and in lists of invoices."""
    hours_omitted: int = 0
    """The number of hours and corrections that are not listed. An invoice lists at most 8,000."""


class Invoice(DocumentedModel):
    """An invoice."""

    invoice_id: str
    number: str | None
    status: str
    currency: str
    amount_cents: int
    credited_cents: int
    """The amount that was refunded or credited after the payment."""
    period_start: Rfc3339
    period_end: Rfc3339
    created_at: Rfc3339
    hosted_url: str | None
    lines: list[InvoiceLine]

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
