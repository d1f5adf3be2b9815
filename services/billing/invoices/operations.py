"""Invoices, updated from Stripe and explained by the hours behind their lines."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from services.billing.invoices import domain as invoices
from services.billing.invoices.domain import Invoice, InvoiceLine, billed_hours, charges_for, sort_by_hour
from services.billing.invoices.gateway import InvoiceGateway
from services.billing.invoices.table import InvoiceTable
from services.billing.usage_sync.domain import SyncEntry
from services.billing.usage_sync.table.entries import SyncLedger
from shared.storage.retry import retry_on_conflict
from shared.storage.store import Store

MAX_HOURS = 8_000
"""Maximum number of hours and corrections in an invoice: some 2 MB of JSON. Four meters have some 3,000 in a month."""

_MAX_ATTEMPTS = 8
"""Maximum number of attempts while concurrent writers change the record."""


@dataclass(frozen=True, slots=True)
class ExplainedLine:
    """A line of an invoice with the entries of the sync ledger that it charges for."""

    line: InvoiceLine
    entries: Sequence[SyncEntry]
    omitted: int = 0
    """The number of entries beyond the limit of an invoice."""


def explain_invoice(
    store: Store, tenant_id: str, invoice_id: str, *, max_hours: int = MAX_HOURS
) -> tuple[Invoice, list[ExplainedLine]]:
    """Return an invoice and its lines, each with the entries that it charges for, up to `max_hours` in total.

    Raises:
        InvoiceNotFound: the tenant has no invoice with this id.
    """
    invoice = InvoiceTable(store, tenant_id).get(invoice_id)
    metered = [line for line in invoice.lines if line.meter]
    entries_by_line: dict[str, list[SyncEntry]] = {line.line_id: [] for line in invoice.lines}
    omitted, remaining = dict.fromkeys(entries_by_line, 0), max_hours
    hours = billed_hours(invoice.lines)
    for entry in SyncLedger(store, tenant_id).between(hours) if hours else ():
        for line in metered:
            if not charges_for(line, entry):
                continue
            if remaining:
                entries_by_line[line.line_id].append(entry)
                remaining -= 1
            else:
                omitted[line.line_id] += 1
    explained = [
        ExplainedLine(line, sort_by_hour(entries_by_line[line.line_id]), omitted[line.line_id])
        for line in invoice.lines
    ]
    return invoice, explained


def refresh_invoice(store: Store, gateway: InvoiceGateway, tenant_id: str, invoice_id: str, *, now: datetime) -> None:
    """Update an invoice from its current state at Stripe.

    Raises:
        InvoiceChanged: the record changed during every attempt.
    """
    table = InvoiceTable(store, tenant_id)

    def attempt() -> None:
        before = table.find(invoice_id)
        current = gateway.read_invoice(invoice_id)
        after = invoices.next_revision(before, current)
        if after:
            table.save(after, *invoices.events_of(before, after, tenant_id=tenant_id, now=now))

    retry_on_conflict(attempt, max_attempts=_MAX_ATTEMPTS)
