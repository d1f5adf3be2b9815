"""HTTP in: a tenant's plan, costs and invoices, the way to the checkout, and Stripe's webhooks."""

import hashlib
import json
import os
from datetime import timedelta
from typing import Annotated, Self

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Query
from pydantic import BaseModel, ConfigDict, Field

from services.billing import wiring
from services.billing.domain import cost, customer, invoice
from services.billing.errors import BadSignature
from services.billing.gateways.payments import Order
from services.billing.gateways.signature import verify
from services.billing.operations import costs, plans, webhooks
from services.billing.operations.costs import ExplainedLine
from services.billing.operations.customers import get_customer
from services.billing.operations.plans import PlanChange
from services.billing.table.invoices import list_invoices
from shared.http.answers import Answer, ListAnswer, created, ok
from shared.http.app import HttpApp
from shared.http.call import Caller, CurrentCall
from shared.http.pagination import PageQuery, page_after, place_of
from shared.metrics import WEBHOOK_FAILURES
from shared.observability import report
from shared.plans import PRICES
from shared.plans import Plan as PlanName
from shared.tenancy.context import TenantContext
from shared.tenancy.permissions import Role
from shared.times import Rfc3339, to_text

app = HttpApp(access=wiring.access, store=wiring.tenant_store)
webhook = HttpApp()

_BILLING = "/v1/tenants/{tenant_id}/billing"
_PLAN = f"{_BILLING}/plan"
_INVOICES = f"{_BILLING}/invoices"
_HOUR = timedelta(hours=1)

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


class Invoice(BaseModel):
    """An invoice."""

    invoice_id: str
    number: str | None
    status: str
    currency: str
    amount_cents: int
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


class WebhookAnswer(Answer):
    """What became of a webhook."""

    received: bool
    """False: it is of no concern here."""


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
    after = place_of(query.token, caller.tenant_id, "invoices")
    start = int(after or 0)
    found = list_invoices(wiring.tenant_store(), caller.tenant_id)
    end = start + query.limit
    return ok(
        InvoicesAnswer(
            invoices=[Invoice.of(one, [_line(line) for line in one.lines]) for one in found[start:end]],
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


@webhook.route("POST", "/v1/webhooks/stripe", least=None, statuses=(200,))
def receive_webhook(call: CurrentCall) -> Response[WebhookAnswer]:
    """Take a webhook of Stripe: its signature is its token."""
    event = webhook.resolver.current_event
    body, header = event.body or "", event.headers.get("stripe-signature")
    try:
        verify(body, header, secret=wiring.secret().webhook_secret, now=call.now)
    except BadSignature:
        report("webhook refused", {WEBHOOK_FAILURES: 1}, request_id=call.request_id)
        raise
    return ok(WebhookAnswer(received=webhooks.receive(wiring.slice_store(), wiring.inbox(), body, now=call.now)))


def _changed(change: PlanChange) -> Response[PlanAnswer]:
    return ok(PlanAnswer(plan=Plan.of(change.customer, proration=change.proration)), etag=change.customer.rev)


def _line(line: invoice.InvoiceLine, hours: list[UsedHour] | None = None) -> InvoiceLine:
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
    return _line(explained.line, hours if explained.line.meter else None)


def _home() -> str:
    """Where a person comes from when the front end says nothing else."""
    return str(json.loads(os.environ["CORS_ORIGINS"])[0])


def _outside_key(caller: TenantContext) -> str | None:
    """The caller's Idempotency-Key as Stripe gets it: another caller's same key is another one."""
    given = app.resolver.current_event.headers.get("idempotency-key")
    if given is None:
        return None
    return hashlib.sha256("\0".join((caller.tenant_id, caller.principal, "checkout", given)).encode()).hexdigest()


handler = app
