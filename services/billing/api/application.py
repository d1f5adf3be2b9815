"""HTTP in: a tenant's plan, costs and invoices, and the way to the checkout."""

import hashlib
import json
import os
from datetime import timedelta
from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Query

from services.billing import wiring
from services.billing.api.shapes import (
    Bill,
    Checkout,
    CheckoutAnswer,
    Cost,
    CostAnswer,
    Invoice,
    InvoiceAnswer,
    InvoiceLine,
    InvoicesAnswer,
    NewCheckout,
    NewPortal,
    Plan,
    PlanAnswer,
    PlanPatch,
    Portal,
    PortalAnswer,
    UsedHour,
)
from services.billing.domain import invoice
from services.billing.gateways.payments import Order
from services.billing.operations import costs, plans
from services.billing.operations.costs import ExplainedLine
from services.billing.operations.customers import get_customer
from services.billing.operations.plans import PlanChange
from services.billing.table.invoices import list_invoices
from shared.http.answers import created, ok
from shared.http.app import HttpApp
from shared.http.call import Caller, CurrentCall
from shared.http.pagination import PageQuery, page_after, place_of
from shared.ids import joined
from shared.tenancy.context import TenantContext
from shared.tenancy.permissions import Role
from shared.times import to_text

app = HttpApp(access=wiring.access, store=wiring.tenant_store)

_BILLING = "/v1/tenants/{tenant_id}/billing"
_PLAN = f"{_BILLING}/plan"
_INVOICES = f"{_BILLING}/invoices"
_HOUR = timedelta(hours=1)


@app.route("GET", _PLAN, least=Role.ANALYST)
def get_plan(caller: Caller) -> Response[PlanAnswer]:
    """The tenant's plan, and how it is billed."""
    found = get_customer(wiring.tenant_store(), caller.tenant_id)
    return ok(PlanAnswer(plan=Plan.of(found)), etag=found.rev)


@app.route("PATCH", _PLAN, least=Role.TENANT_ADMIN)
@app.route("PUT", _PLAN, least=Role.TENANT_ADMIN)
def change_plan(caller: Caller, call: CurrentCall, body: Annotated[PlanPatch, Body()]) -> Response[PlanAnswer]:
    """Change the plan of a subscription: a dearer one at once, a cheaper one at the end of the period."""
    changed = plans.change_plan(
        wiring.tenant_store(),
        wiring.find_payments(),
        caller.tenant_id,
        body.plan,
        now=call.now,
        if_match=call.if_match,
    )
    return _changed(changed)


@app.route("GET", f"{_BILLING}/usage", least=Role.ANALYST)
def get_cost(caller: Caller, call: CurrentCall) -> Response[CostAnswer]:
    """What the current period costs so far, and will cost."""
    found = costs.cost_of(wiring.tenant_store(), caller.tenant_id, now=call.now)
    return ok(
        CostAnswer(
            usage=Cost(
                plan=found.customer.plan,
                billing=found.customer.billing,
                period_start=found.period.start,
                period_end=found.period.end,
                counted_until=found.counted_until,
                so_far=Bill.model_validate(found.so_far),
                forecast=Bill.model_validate(found.forecast),
            )
        )
    )


@app.route("GET", _INVOICES, least=Role.ANALYST)
def list_invoices_(caller: Caller, query: Annotated[PageQuery, Query()]) -> Response[InvoicesAnswer]:
    """Invoices, newest first."""
    after = place_of(query.token, caller.tenant_id, "invoices", form="[0-9]{1,6}")
    start = int(after or 0)
    found = list_invoices(wiring.tenant_store(), caller.tenant_id)
    page = invoice.page_of(found[start : start + query.limit])
    end = start + len(page)
    return ok(
        InvoicesAnswer(
            invoices=[Invoice.of(one, [_line(line) for line in one.lines]) for one in page],
            pagination=page_after(str(end) if end < len(found) else None, caller.tenant_id, "invoices"),
        )
    )


@app.route("GET", f"{_INVOICES}/{{invoice_id}}", least=Role.ANALYST)
def get_invoice(caller: Caller, invoice_id: str) -> Response[InvoiceAnswer]:
    """One invoice; each metered line with the hours that it adds up."""
    found, lines = costs.explain_invoice(wiring.tenant_store(), caller.tenant_id, invoice_id)
    return ok(InvoiceAnswer(invoice=Invoice.of(found, [_explained(caller, line) for line in lines])))


@app.route("POST", f"{_BILLING}/checkout", least=Role.TENANT_ADMIN, statuses=(201,), even_unpaid=True)
def start_checkout(caller: Caller, call: CurrentCall, body: Annotated[NewCheckout, Body()]) -> Response[CheckoutAnswer]:
    """Open a page on which a paid plan is subscribed to."""
    order = Order(
        tenant_id=caller.tenant_id,
        plan=body.plan,
        success_url=body.success_url or _home(),
        cancel_url=body.cancel_url or _home(),
    )
    opened = plans.start_checkout(
        wiring.tenant_store(), wiring.payments(), order, key=_outside_key(caller), now=call.now
    )
    shown = Checkout(checkout_id=opened.checkout_id, plan=body.plan, url=opened.url, expires_at=opened.expires_at)
    return created(CheckoutAnswer(checkout=shown), location=opened.url)


@app.route("POST", f"{_BILLING}/portal", least=Role.TENANT_ADMIN, statuses=(201,), even_unpaid=True)
def open_portal(caller: Caller, body: Annotated[NewPortal, Body()]) -> Response[PortalAnswer]:
    """Open the page with cards, invoices and the subscription."""
    url = plans.open_portal(
        wiring.tenant_store(), wiring.payments(), caller.tenant_id, return_url=body.return_url or _home()
    )
    return created(PortalAnswer(portal=Portal(url=url)), location=url)


def _changed(change: PlanChange) -> Response[PlanAnswer]:
    return ok(PlanAnswer(plan=Plan.of(change.customer, proration=change.proration)), etag=change.customer.rev)


def _line(line: invoice.InvoiceLine, hours: list[UsedHour] | None = None, *, omitted: int = 0) -> InvoiceLine:
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


def _explained(caller: TenantContext, explained: ExplainedLine) -> InvoiceLine:
    events = f"/v1/tenants/{caller.tenant_id}/usage/events"
    hours = [
        UsedHour(
            hour=entry.hour,
            rev=entry.rev,
            quantity=entry.quantity,
            carried=entry.carried,
            identifier=entry.identifier,
            usage_events=f"{events}?from={to_text(entry.hour)}&to={to_text(entry.hour + _HOUR)}",
        )
        for entry in explained.entries
    ]
    return _line(explained.line, hours if explained.line.meter else None, omitted=explained.omitted)


def _home() -> str:
    """Where a person comes from when the front end says nothing else."""
    return str(json.loads(os.environ["CORS_ORIGINS"])[0])


def _outside_key(caller: TenantContext) -> str | None:
    """The caller's Idempotency-Key as Stripe gets it: another caller's same key is another one."""
    given = app.resolver.current_event.headers.get("idempotency-key")
    if given is None:
        return None
    return hashlib.sha256(joined(caller.tenant_id, caller.principal, "checkout", given).encode()).hexdigest()


handler = app
