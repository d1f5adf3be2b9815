"""HTTP API of invoices."""

from datetime import timedelta
from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query

from services.billing import wiring
from services.billing.invoices import domain
from services.billing.invoices.operations import ExplainedLine, explain_invoice
from services.billing.invoices.schemas import Invoice, InvoiceLine, InvoiceResponse, InvoicesResponse, MeteredHour
from services.billing.invoices.table import InvoiceTable
from shared.http.call import Caller, current_call
from shared.http.links import link
from shared.http.pagination import PageQuery, cursor_of, page_after
from shared.http.responses import ok
from shared.http.router import Router
from shared.tenancy.context import TenantContext
from shared.tenancy.permissions import Role
from shared.times import to_text

router = Router()

_INVOICES = "/v1/tenants/{tenant_id}/billing/invoices"
_HOUR = timedelta(hours=1)


@router.route("GET", _INVOICES, min_role=Role.ANALYST)
def list_invoices(caller: Caller, query: Annotated[PageQuery, Query()]) -> Response[InvoicesResponse]:
    """List invoices, newest first."""
    after = cursor_of(query.token, caller.tenant_id, "invoices", form="[0-9]{1,6}")
    start = int(after or 0)
    invoices = InvoiceTable(wiring.tenant_store(), caller.tenant_id).newest_first()
    page = domain.limit_page(invoices[start : start + query.limit])
    end = start + len(page)
    return ok(
        InvoicesResponse(
            invoices=[Invoice.of(invoice, [_to_line(line) for line in invoice.lines]) for invoice in page],
            pagination=page_after(str(end) if end < len(invoices) else None, caller.tenant_id, "invoices"),
        )
    )


@router.route("GET", f"{_INVOICES}/{{invoice_id}}", min_role=Role.ANALYST)
def get_invoice(caller: Caller, invoice_id: str) -> Response[InvoiceResponse]:
    """Get an invoice. Each metered line lists its hours."""
    invoice, lines = explain_invoice(wiring.tenant_store(), caller.tenant_id, invoice_id)
    return ok(InvoiceResponse(invoice=Invoice.of(invoice, [_to_explained_line(caller, line) for line in lines])))


def _to_line(line: domain.InvoiceLine, hours: list[MeteredHour] | None = None, *, omitted: int = 0) -> InvoiceLine:
    return InvoiceLine(
        line_id=line.line_id,
        item=line.item,
        description=line.description,
        quantity=line.quantity,
        amount_cents=line.amount_cents,
        period_start=line.period.start,
        period_end=line.period.end,
        proration=line.proration,
        hours=hours,
        hours_omitted=omitted,
    )


def _to_explained_line(caller: TenantContext, explained: ExplainedLine) -> InvoiceLine:
    events = link(f"/v1/tenants/{caller.tenant_id}/usage/events", base=current_call().path)
    hours = [
        MeteredHour(
            hour=entry.hour,
            rev=entry.rev,
            quantity=entry.quantity,
            carried=entry.carried,
            identifier=entry.identifier,
            usage_events=f"{events}?from={to_text(entry.hour)}&to={to_text(entry.hour + _HOUR)}",
        )
        for entry in explained.entries
    ]
    return _to_line(explained.line, hours if explained.line.meter else None, omitted=explained.omitted)
