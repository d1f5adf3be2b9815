"""Invoices as read from Stripe, and the events of their changes."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from services.billing.catalog.domain import BilledMeter
from services.billing.customers.domain.period import BillingPeriod
from services.billing.usage_sync.domain import EntryState, SyncEntry, hour_of
from shared.events.billing import InvoiceEvent, InvoicePaid, InvoicePaymentFailed
from shared.events.envelope import Event, new_event

InvoiceStatus = Literal["draft", "open", "paid", "uncollectible", "void"]


@dataclass(frozen=True, slots=True)
class InvoiceLine:
    """One line of an invoice. Its period is the time that it charges for."""

    line_id: str
    item: str
    """`base` or a meter; `other` for lines without a price of ours."""
    description: str
    quantity: int | None
    amount_cents: int
    period: BillingPeriod
    proration: bool

    @property
    def meter(self) -> BilledMeter | None:
        """Return the meter that the line charges for, or None."""
        return BilledMeter(self.item) if self.item in set(BilledMeter) else None


@dataclass(frozen=True, slots=True)
class Invoice:
    """An invoice with its lines."""

    invoice_id: str
    number: str | None
    """None until the invoice is final."""
    status: InvoiceStatus
    currency: str
    amount_cents: int
    """The amount due, which remains after the payment."""
    attempts: int
    """The number of attempts to collect the amount."""
    period: BillingPeriod
    created_at: datetime
    hosted_url: str | None
    """The URL at which the invoice can be viewed and paid."""
    lines: tuple[InvoiceLine, ...]
    credited_cents: int = 0
    """The amount that was refunded or credited after the payment."""
    rev: int = 0
    """The revision of our own record."""


def next_revision(before: Invoice | None, current: Invoice | None) -> Invoice | None:
    """Return the next revision of the record, or None if it is up to date."""
    rev = before.rev if before else 0
    if current is None or replace(current, rev=rev) == before:
        return None
    return replace(current, rev=rev + 1)


def events_of(
    before: Invoice | None, after: Invoice, *, tenant_id: str, now: datetime
) -> Iterator[Event[InvoiceEvent]]:
    """Yield the events of a change: paid, or another failed attempt to collect."""
    if after.status == "paid" and (before is None or before.status != "paid"):
        yield _event(after, InvoicePaid, name="paid", tenant_id=tenant_id, now=now)
    if after.status == "open" and after.attempts > (before.attempts if before else 0):
        name = f"payment_failed:{after.attempts}"
        yield _event(after, InvoicePaymentFailed, name=name, tenant_id=tenant_id, now=now)


def _event(
    invoice: Invoice, kind: type[InvoiceEvent], *, name: str, tenant_id: str, now: datetime
) -> Event[InvoiceEvent]:
    payload = kind(
        invoice_id=invoice.invoice_id,
        amount_cents=invoice.amount_cents,
        currency=invoice.currency,
        period_start=invoice.period.start,
        period_end=invoice.period.end,
    )
    event_id = f"{invoice.invoice_id}:{name}"
    return new_event(
        payload, event_id=event_id, tenant_id=tenant_id, subject=invoice.invoice_id, seq=invoice.rev, at=now
    )


MAX_LINES_PER_PAGE = 5_000
"""Maximum number of lines in a page of invoices: some 2 MB of JSON, of the 6 MB that a Lambda function may return."""


def limit_page(invoices: Sequence[Invoice]) -> list[Invoice]:
    """Return the first of these invoices whose lines fit into one response, and at least one."""
    page, lines = list[Invoice](), 0
    for invoice in invoices:
        lines += len(invoice.lines)
        if page and lines > MAX_LINES_PER_PAGE:
            break
        page.append(invoice)
    return page


def charges_for(line: InvoiceLine, entry: SyncEntry) -> bool:
    """Return whether a metered line charges for this entry of the sync ledger."""
    is_charged = entry.meter == line.meter and entry.state is EntryState.ACCEPTED
    return is_charged and line.period.start <= entry.timestamp < line.period.end


def sort_by_hour(entries: Iterable[SyncEntry]) -> list[SyncEntry]:
    """Return the entries by their hour of usage."""
    return sorted(entries, key=lambda entry: (entry.hour, entry.rev))


def billed_hours(lines: Iterable[InvoiceLine]) -> BillingPeriod | None:
    """Return the hours that the metered lines charge for, or None if there are no such lines."""
    periods = [line.period for line in lines if line.meter]
    if not periods:
        return None
    return BillingPeriod(hour_of(min(period.start for period in periods)), max(period.end for period in periods))
