"""The requests about invoices."""

from copy import deepcopy

from infra.local.stripe import changes, cycle, invoices
from infra.local.stripe.errors import StripeError, declined, refuse
from infra.local.stripe.items import end_of_period, items_of, period_of, place
from infra.local.stripe.rendering import render
from infra.local.stripe.routes import Call, Routes, listed, matching, merged
from infra.local.stripe.store import Json

routes = Routes()


@routes.get("/v1/invoices")
def list_invoices(call: Call) -> Json:
    """All invoices, or those of a customer, a subscription or a status."""
    params = call.params
    found = call.world.store.all("invoice", customer=params.text("customer"))
    found = matching(found, status=params.text("status"))
    subscription = params.text("subscription")
    if subscription:
        found = [one for one in found if one["parent"]["subscription_details"]["subscription"] == subscription]
    created = params.nested("created")
    bounds = created.integer("gte"), created.integer("lt")
    found = [one for one in found if _within(one["created"], *bounds)]
    current = [invoices.summed(call.world, one) for one in found]
    return listed(call, current, url="/v1/invoices")


@routes.post("/v1/invoices/create_preview")
def preview_invoice(call: Call) -> Json:
    """What the next invoice would be if the period ended now, or what a change of items would cost."""
    world, params = call.world, call.params
    params.choice("preview_mode", "next")
    name = params.required("subscription")
    subscription = deepcopy(world.store.get("subscription", name))
    if params.text("customer") not in (None, subscription["customer"]):
        refuse("The subscription belongs to another customer.", param="customer")
    if subscription["status"] in cycle.FINAL:
        raise StripeError(404, "No upcoming invoices for customer", "invoice_upcoming_none")
    details = params.nested("subscription_details")
    behaviour = details.choice("proration_behavior", *changes.BEHAVIOURS)
    at = details.integer("proration_date") or world.now_for(subscription["customer"])
    of: list[Json] = []
    if "items" in details:
        wanted = changes.wanted_items(world, subscription, details.many("items"))
        of = changes.change_items(world, subscription, wanted, at=at, behaviour=behaviour)
    if behaviour == "always_invoice":
        invoice = invoices.unsaved(world, subscription, reason="subscription_update", of=of, period=(at, at))
    else:
        invoice = _next_invoice(call, subscription, of, ending=bool(details.boolean("cancel_at_period_end")))
    return render(invoice | {"id": f"upcoming_{invoice['id']}"})


@routes.get("/v1/invoices/{invoice}")
def get_invoice(call: Call) -> Json:
    """An invoice; a draft with its usage as it is now."""
    return render(invoices.summed(call.world, call.world.store.get("invoice", call.path["invoice"])))


@routes.get("/v1/invoices/{invoice}/lines")
def list_lines(call: Call) -> Json:
    """The lines of an invoice."""
    invoice = invoices.summed(call.world, call.world.store.get("invoice", call.path["invoice"]))
    return listed(call, invoice["_lines"], url=f"/v1/invoices/{invoice['id']}/lines")


@routes.post("/v1/invoices/{invoice}")
def change_invoice(call: Call) -> Json:
    """Change an invoice's metadata."""
    invoice = call.world.store.get("invoice", call.path["invoice"])
    before = deepcopy(invoice)
    invoice["metadata"] = merged(invoice["metadata"], call.params.free("metadata"))
    return render(call.world.update(invoice, "invoice.updated", before=before))


@routes.post("/v1/invoices/{invoice}/finalize")
def finalise_invoice(call: Call) -> Json:
    """Let a draft be final now."""
    call.params.boolean("auto_advance")
    return render(invoices.finalise(call.world, call.world.store.get("invoice", call.path["invoice"])))


@routes.post("/v1/invoices/{invoice}/pay")
def pay_invoice(call: Call) -> Json:
    """Charge an open invoice now."""
    world, params = call.world, call.params
    invoice = world.store.get("invoice", call.path["invoice"])
    name = params.text("payment_method")
    params.boolean("off_session")
    if invoice["status"] == "draft":
        invoice = invoices.finalise(world, invoice)
    if invoice["status"] != "open":
        raise StripeError(400, "Invoice is already paid", "invoice_already_paid")
    card = world.store.get("payment_method", name) if name else None
    if not cycle.pay(world, invoice, card=card):
        raise Kept(declined())
    return render(invoice)


@routes.post("/v1/invoices/{invoice}/void")
def void_invoice(call: Call) -> Json:
    """Give up an open invoice."""
    return render(invoices.void(call.world, call.world.store.get("invoice", call.path["invoice"])))


@routes.post("/v1/invoices/{invoice}/mark_uncollectible")
def mark_uncollectible(call: Call) -> Json:
    """Write an open invoice off."""
    invoice = call.world.store.get("invoice", call.path["invoice"])
    return render(invoices.void(call.world, invoice, status="uncollectible"))


class Kept(Exception):
    """An error whose traces stay: a payment that failed was tried all the same."""

    def __init__(self, error: StripeError) -> None:
        super().__init__(error.message)
        self.error = error


def _next_invoice(call: Call, subscription: Json, extra: list[Json], *, ending: bool) -> Json:
    world = call.world
    start, end = period_of(subscription)
    of = cycle.usage_lines(world, subscription, until=end) + subscription.get("_pending", []) + extra
    if not ending and not subscription["cancel_at_period_end"]:
        items = items_of(subscription)
        following = end_of_period(items, anchor=subscription["billing_cycle_anchor"], start=end)
        place(items, subscription=subscription["id"], start=end, end=following)
        of += cycle.base_lines(world, subscription)
    return invoices.unsaved(world, subscription, reason="upcoming", of=of, period=(start, end))


def _within(moment: int, at_least: int | None, before: int | None) -> bool:
    return (at_least is None or moment >= at_least) and (before is None or moment < before)
