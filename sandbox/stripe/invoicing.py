"""Requests for invoices."""

from copy import deepcopy

from sandbox.stripe import changes, cycle, invoices
from sandbox.stripe.errors import StripeError, declined, refuse
from sandbox.stripe.items import assign_period, end_of_period, items_of, period_of
from sandbox.stripe.rendering import render
from sandbox.stripe.routes import Routes, StripeCall, list_page, matching, merged
from sandbox.stripe.store import Json

routes = Routes()


@routes.get("/v1/invoices")
def list_invoices(call: StripeCall) -> Json:
    """List all invoices, or those of a customer, a subscription or a status."""
    params = call.params
    found = call.world.store.all("invoice", customer=params.text("customer"))
    found = matching(found, status=params.text("status"))
    subscription = params.text("subscription")
    if subscription:
        found = [one for one in found if one["parent"]["subscription_details"]["subscription"] == subscription]
    created = params.nested("created")
    bounds = created.integer("gte"), created.integer("lt")
    found = [one for one in found if _within(one["created"], *bounds)]
    current = [invoices.with_totals(call.world, one) for one in found]
    return list_page(call, current, url="/v1/invoices")


@routes.post("/v1/invoices/create_preview")
def preview_invoice(call: StripeCall) -> Json:
    """Preview the next invoice, as if the period ended now or as a change of items would make it."""
    world, params = call.world, call.params
    params.choice("preview_mode", "next")
    name = params.required("subscription")
    subscription = deepcopy(world.store.get("subscription", name))
    if params.text("customer") not in (None, subscription["customer"]):
        refuse("The subscription belongs to another customer.", param="customer")
    if subscription["status"] in cycle.FINAL:
        raise StripeError(404, "No upcoming invoices for customer", "invoice_upcoming_none")
    details = params.nested("subscription_details")
    behavior = details.choice("proration_behavior", *changes.BEHAVIORS)
    at = details.integer("proration_date") or world.now_for(subscription["customer"])
    of: list[Json] = []
    if "items" in details:
        new_items = changes.apply_changes(world, subscription, details.many("items"))
        of = changes.change_items(world, subscription, new_items, at=at, behavior=behavior)
    if behavior == "always_invoice":
        invoice = invoices.build(world, subscription, reason="subscription_update", of=of, period=(at, at))
    else:
        invoice = _next_invoice(call, subscription, of, ending=bool(details.boolean("cancel_at_period_end")))
    return render(invoice | {"id": f"upcoming_{invoice['id']}"})


@routes.get("/v1/invoices/{invoice}")
def get_invoice(call: StripeCall) -> Json:
    """Return an invoice. A draft shows its current usage."""
    return render(invoices.with_totals(call.world, call.world.store.get("invoice", call.path["invoice"])))


@routes.get("/v1/invoices/{invoice}/lines")
def list_lines(call: StripeCall) -> Json:
    """List the lines of an invoice."""
    invoice = invoices.with_totals(call.world, call.world.store.get("invoice", call.path["invoice"]))
    return list_page(call, invoice["_lines"], url=f"/v1/invoices/{invoice['id']}/lines")


@routes.post("/v1/invoices/{invoice}")
def change_invoice(call: StripeCall) -> Json:
    """Update an invoice's metadata."""
    invoice = call.world.store.get("invoice", call.path["invoice"])
    before = deepcopy(invoice)
    invoice["metadata"] = merged(invoice["metadata"], call.params.free("metadata"))
    return render(call.world.update(invoice, "invoice.updated", before=before))


@routes.post("/v1/invoices/{invoice}/finalize")
def finalize_invoice(call: StripeCall) -> Json:
    """Finalize a draft now."""
    call.params.boolean("auto_advance")
    return render(invoices.finalize(call.world, call.world.store.get("invoice", call.path["invoice"])))


@routes.post("/v1/invoices/{invoice}/pay")
def pay_invoice(call: StripeCall) -> Json:
    """Charge an open invoice now."""
    world, params = call.world, call.params
    invoice = world.store.get("invoice", call.path["invoice"])
    name = params.text("payment_method")
    params.boolean("off_session")
    if invoice["status"] == "draft":
        invoice = invoices.finalize(world, invoice)
    if invoice["status"] != "open":
        raise StripeError(400, "Invoice is already paid", "invoice_already_paid")
    card = world.store.get("payment_method", name) if name else None
    if not cycle.pay(world, invoice, card=card):
        raise PaymentAttempted(declined())
    return render(invoice)


@routes.post("/v1/invoices/{invoice}/void")
def void_invoice(call: StripeCall) -> Json:
    """Void an open invoice."""
    return render(invoices.void(call.world, call.world.store.get("invoice", call.path["invoice"])))


@routes.post("/v1/invoices/{invoice}/mark_uncollectible")
def mark_uncollectible(call: StripeCall) -> Json:
    """Mark an open invoice as uncollectible."""
    invoice = call.world.store.get("invoice", call.path["invoice"])
    return render(invoices.void(call.world, invoice, status="uncollectible"))


class PaymentAttempted(Exception):
    """An error after which the state is kept: the failed payment was attempted."""

    def __init__(self, error: StripeError) -> None:
        super().__init__(error.message)
        self.error = error


def _next_invoice(call: StripeCall, subscription: Json, extra: list[Json], *, ending: bool) -> Json:
    world = call.world
    start, end = period_of(subscription)
    of = cycle.usage_lines(world, subscription, until=end) + subscription.get("_pending", []) + extra
    if not ending and not subscription["cancel_at_period_end"]:
        items = items_of(subscription)
        following = end_of_period(items, anchor=subscription["billing_cycle_anchor"], start=end)
        assign_period(items, subscription=subscription["id"], start=end, end=following)
        of += cycle.base_lines(world, subscription)
    return invoices.build(world, subscription, reason="upcoming", of=of, period=(start, end))


def _within(moment: int, at_least: int | None, before: int | None) -> bool:
    return (at_least is None or moment >= at_least) and (before is None or moment < before)
