"""What a tenant's usage costs, and how an invoice came about."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from services.billing.domain.cost import Bill, Period, bill, forecast, month_of
from services.billing.domain.customer import BillingMode, Customer
from services.billing.domain.invoice import Invoice, InvoiceLine, adds_up, by_hour, hours_billed
from services.billing.domain.price import BilledMeter
from services.billing.domain.usage import Entry, summed
from services.billing.errors import InvoiceNotFound
from services.billing.operations.customers import get_customer
from services.billing.table.entries import entries_between
from services.billing.table.invoices import find_invoice
from services.billing.table.usage import usage_between
from shared.storage.store import Store

MAX_HOURS = 8_000
"""Hours and corrections that an invoice lists: some 2 MB of JSON; a month of four meters has some 3,000 hours."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What the current period costs."""

    customer: Customer
    period: Period
    counted_until: datetime
    """The end of the newest hour that is counted."""
    so_far: Bill
    forecast: Bill


@dataclass(frozen=True, slots=True)
class ExplainedLine:
    """An invoice's line with the entries of the sync ledger that it adds up."""

    line: InvoiceLine
    entries: Sequence[Entry]
    omitted: int = 0
    """Entries over what an invoice explains."""


def cost_of(store: Store, tenant_id: str, *, now: datetime) -> Cost:
    """What was used in the current period costs so far, and will cost at its end if it goes on like this."""
    customer = get_customer(store, tenant_id)
    period = _current(customer) or month_of(now)
    kept = summed(usage_between(store, tenant_id, period))
    quantities = kept.quantities
    if customer.billing is BillingMode.STRIPE:
        quantities = _booked(store, tenant_id, period)
    until = kept.counted_until or period.start
    return Cost(
        customer=customer,
        period=period,
        counted_until=until,
        so_far=bill(customer.plan, quantities),
        forecast=forecast(customer.plan, quantities, period=period, counted_until=until),
    )


def _current(customer: Customer) -> Period | None:
    """The subscription's period, as far as it is not billed yet: a change of plan bills what was used until then."""
    paying = customer.paying
    return Period(paying.counts_since or paying.period.start, paying.period.end) if paying else None


def _booked(store: Store, tenant_id: str, period: Period) -> dict[BilledMeter, int]:
    """What is stamped into the period, with what was carried into it."""
    quantities: dict[BilledMeter, int] = {}
    for entry in entries_between(store, tenant_id, period):
        if entry.counts and period.start <= entry.stamped_at < period.end:
            quantities[entry.meter] = quantities.get(entry.meter, 0) + entry.quantity
    return quantities


def explain_invoice(
    store: Store, tenant_id: str, invoice_id: str, *, max_hours: int = MAX_HOURS
) -> tuple[Invoice, list[ExplainedLine]]:
    """An invoice, each metered line with the hours that it adds up, `max_hours` of all lines together.

    Raises:
        InvoiceNotFound: the tenant has none of this id.
    """
    invoice = find_invoice(store, tenant_id, invoice_id)
    if invoice is None:
        raise InvoiceNotFound
    metered = [line for line in invoice.lines if line.meter]
    found: dict[str, list[Entry]] = {line.line_id: [] for line in invoice.lines}
    omitted, left = dict.fromkeys(found, 0), max_hours
    hours = hours_billed(invoice.lines)
    for entry in entries_between(store, tenant_id, hours) if hours else ():
        for line in metered:
            if not adds_up(line, entry):
                continue
            if left:
                found[line.line_id].append(entry)
                left -= 1
            else:
                omitted[line.line_id] += 1
    explained = [ExplainedLine(line, by_hour(found[line.line_id]), omitted[line.line_id]) for line in invoice.lines]
    return invoice, explained
