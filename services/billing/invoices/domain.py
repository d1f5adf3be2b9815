"""Invoices as Stripe has them, and what others hear of them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from services.billing.domain.cost import Period
from services.billing.domain.price import BilledMeter
from services.billing.domain.usage import Entry, EntryState, hour_of
from shared.events.billing import InvoiceEvent, InvoicePaid, InvoicePaymentFailed
from shared.events.envelope import Event, happened

InvoiceStatus = Literal["draft", "open", "paid", "uncollectible", "void"]


@dataclass(frozen=True, slots=True)
class InvoiceLine:
    """One line; its period is that of what it charges for."""

    line_id: str
    item: str
    """`base` or a meter; `other` for what is of no price of ours."""
    description: str
    quantity: int | None
    amount_cents: int
    period: Period
    proration: bool

    @property
    def meter(self) -> BilledMeter | None:
        """The meter that it charges for."""
        return BilledMeter(self.item) if self.item in set(BilledMeter) else None


@dataclass(frozen=True, slots=True)
class Invoice:
    """An invoice with its lines."""

    invoice_id: str
    number: str | None
    """None until it is final."""
    status: InvoiceStatus
    currency: str
    amount_cents: int
    """What is to be paid, or was."""
    attempts: int
    """How often it was tried to collect it."""
    period: Period
    created_at: datetime
    hosted_url: str | None
    """Where it can be looked at and paid."""
    lines: tuple[InvoiceLine, ...]
    credited_cents: int = 0
    """Given back after it was paid."""
    rev: int = 0
    """Of our own record."""


def next_of(before: Invoice | None, current: Invoice | None) -> Invoice | None:
    """The record to be written over the one before; None when it says all of it already."""
    rev = before.rev if before else 0
    if current is None or replace(current, rev=rev) == before:
        return None
    return replace(current, rev=rev + 1)


def news_of(before: Invoice | None, after: Invoice, *, tenant_id: str, now: datetime) -> Iterator[Event[InvoiceEvent]]:
    """What others must hear of the change."""
    if after.status == "paid" and (before is None or before.status != "paid"):
        yield _event(after, InvoicePaid, name="paid", tenant_id=tenant_id, now=now)
    if after.status == "open" and after.attempts > (before.attempts if before else 0):
        name = f"payment_failed:{after.attempts}"
        yield _event(after, InvoicePaymentFailed, name=name, tenant_id=tenant_id, now=now)


def _event(
    invoice: Invoice, kind: type[InvoiceEvent], *, name: str, tenant_id: str, now: datetime
) -> Event[InvoiceEvent]:
    said = kind(
        invoice_id=invoice.invoice_id,
        amount_cents=invoice.amount_cents,
        currency=invoice.currency,
        period_start=invoice.period.start,
        period_end=invoice.period.end,
    )
    event_id = f"{invoice.invoice_id}:{name}"
    return happened(said, event_id=event_id, tenant_id=tenant_id, subject=invoice.invoice_id, seq=invoice.rev, at=now)


MAX_LINES_OF_PAGE = 5_000
"""Lines of a page of invoices: some 2 MB of JSON, of the 6 MB that a Lambda function may respond with."""


def page_of(invoices: Sequence[Invoice]) -> list[Invoice]:
    """Return the first of these invoices whose lines fit into one response, and at least one."""
    page, lines = list[Invoice](), 0
    for invoice in invoices:
        lines += len(invoice.lines)
        if page and lines > MAX_LINES_OF_PAGE:
            break
        page.append(invoice)
    return page


def adds_up(line: InvoiceLine, entry: Entry) -> bool:
    """Whether a metered line charges for this entry of the sync ledger."""
    is_charged = entry.meter == line.meter and entry.state is EntryState.ACCEPTED
    return is_charged and line.period.start <= entry.stamped_at < line.period.end


def by_hour(entries: Iterable[Entry]) -> list[Entry]:
    """Return the entries by the hour that they were used in."""
    return sorted(entries, key=lambda entry: (entry.hour, entry.rev))


def hours_billed(lines: Iterable[InvoiceLine]) -> Period | None:
    """The hours that the metered lines lie in."""
    periods = [line.period for line in lines if line.meter]
    if not periods:
        return None
    return Period(hour_of(min(period.start for period in periods)), max(period.end for period in periods))
