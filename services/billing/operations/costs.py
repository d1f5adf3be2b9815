"""What a tenant's usage costs, and how an invoice came about."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from services.billing.domain.cost import Bill, Period, bill, forecast, month_of
from services.billing.domain.customer import BillingMode, Customer
from services.billing.domain.invoice import Invoice, InvoiceLine, hours_billed, hours_of
from services.billing.domain.price import BilledMeter
from services.billing.domain.usage import Entry, EntryState, summed
from services.billing.errors import InvoiceNotFound
from services.billing.operations.customers import get_customer
from services.billing.table.entries import entries_between
from services.billing.table.invoices import find_invoice
from services.billing.table.usage import usage_between
from shared.storage.store import Store


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
        if entry.state is not EntryState.REJECTED and period.start <= entry.stamped_at < period.end:
            quantities[entry.meter] = quantities.get(entry.meter, 0) + entry.quantity
    return quantities


def explain_invoice(store: Store, tenant_id: str, invoice_id: str) -> tuple[Invoice, list[ExplainedLine]]:
    """An invoice, each metered line with the hours that it adds up.

    Raises:
        InvoiceNotFound: the tenant has none of this id.
    """
    invoice = find_invoice(store, tenant_id, invoice_id)
    if invoice is None:
        raise InvoiceNotFound
    hours = hours_billed(invoice.lines)
    entries = list(entries_between(store, tenant_id, hours)) if hours else []
    return invoice, [ExplainedLine(line, hours_of(line, entries)) for line in invoice.lines]
