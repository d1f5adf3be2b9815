"""Requests for subscriptions."""

from copy import deepcopy

from sandbox.stripe import changes, cycle
from sandbox.stripe.customers import existing_customer
from sandbox.stripe.errors import declined, refuse
from sandbox.stripe.form import Params
from sandbox.stripe.items import items_of, period_of, read_items
from sandbox.stripe.rendering import render
from sandbox.stripe.routes import Routes, StripeCall, list_page, matching, merged
from sandbox.stripe.store import Json
from sandbox.stripe.world import DAY_S, StripeWorld

routes = Routes()

PAYMENTS = ("allow_incomplete", "default_incomplete", "error_if_incomplete")
_ENDED = ("canceled", "incomplete_expired")


@routes.post("/v1/subscriptions")
def create_subscription(call: StripeCall) -> Json:
    """Create a subscription with its first invoice."""
    world, params = call.world, call.params
    customer = existing_customer(world, params.required("customer"))
    payment = params.choice("payment_behavior", *PAYMENTS)
    _read_constants(params)
    subscription = cycle.start(
        world,
        customer,
        read_items(world, params.many("items")),
        metadata=params.free("metadata"),
        begin=params.integer("backdate_start_date"),
        trial_end=trial_end(params, now=world.now(customer)),
        card=params.text("default_payment_method"),
        on_missing_card=missing_card(params.nested("trial_settings")),
    )
    if payment == "error_if_incomplete" and subscription["status"] == "incomplete":
        raise declined()
    if params.boolean("cancel_at_period_end"):
        _cancel_later(world, subscription, later=True)
        world.store.put(subscription)
    return render(subscription)


@routes.get("/v1/subscriptions")
def list_subscriptions(call: StripeCall) -> Json:
    """List the subscriptions that have not ended, or those with a status; `all` lists all."""
    params = call.params
    found = call.world.store.all("subscription", customer=params.text("customer"))
    status, price = params.text("status"), params.text("price")
    if status is None:
        found = [one for one in found if one["status"] not in _ENDED]
    elif status == "ended":
        found = [one for one in found if one["status"] in _ENDED]
    elif status != "all":
        found = matching(found, status=status)
    if price:
        found = [one for one in found if price in {item["price"]["id"] for item in items_of(one)}]
    return list_page(call, found, url="/v1/subscriptions")


@routes.get("/v1/subscriptions/{subscription}")
def get_subscription(call: StripeCall) -> Json:
    """Return a subscription."""
    return render(call.world.store.get("subscription", call.path["subscription"]))


@routes.post("/v1/subscriptions/{subscription}")
def change_subscription(call: StripeCall) -> Json:
    """Update a subscription."""
    world, params = call.world, call.params
    subscription = running(world, call.path["subscription"])
    before = deepcopy(subscription)
    _change_fields(world, subscription, params)
    behavior = params.choice("proration_behavior", *changes.BEHAVIORS)
    payment = params.choice("payment_behavior", *PAYMENTS)
    at = params.integer("proration_date") or world.now_for(subscription["customer"])
    if "items" in params:
        new_items = changes.apply_changes(world, subscription, params.many("items"))
        of = changes.change_items(world, subscription, new_items, at=at, behavior=behavior)
        changes.bill(world, subscription, of, at=at, behavior=behavior, payment=payment)
    if params.text("trial_end") == "now" and subscription["status"] == "trialing":
        changes.end_trial(world, subscription)
    return render(world.update(subscription, "customer.subscription.updated", before=before))


@routes.delete("/v1/subscriptions/{subscription}")
def cancel_subscription(call: StripeCall) -> Json:
    """End a subscription now. `invoice_now` bills its usage."""
    world, params = call.world, call.params
    subscription = running(world, call.path["subscription"])
    if params.boolean("prorate"):
        refuse("This Stripe does not give back unused time at a cancellation.", param="prorate")
    _take_details(subscription, params)
    at = world.now_for(subscription["customer"])
    with_invoice = bool(params.boolean("invoice_now"))
    return render(cycle.end(world, subscription, at=at, with_invoice=with_invoice, reason="cancellation_requested"))


@routes.post("/v1/subscriptions/{subscription}/resume")
def resume_subscription(call: StripeCall) -> Json:
    """Resume a paused subscription."""
    world = call.world
    call.params.choice("billing_cycle_anchor", "unchanged", "now")
    subscription = running(world, call.path["subscription"])
    if subscription["status"] != "paused":
        refuse("Only subscriptions with status `paused` can be resumed.")
    cycle.set_status(world, subscription, "active")
    world.emit("customer.subscription.resumed", subscription)
    return render(subscription)


def running(world: StripeWorld, name: str) -> Json:
    """Return a subscription that has not ended.

    Raises:
        StripeError: there is none.
    """
    subscription = world.store.get("subscription", name)
    if subscription["status"] in _ENDED:
        refuse("A canceled subscription can only update its cancellation_details and metadata.")
    return subscription


def trial_end(params: Params, *, now: int) -> int | None:
    """Return the end of the trial that a request asks for."""
    days, moment = params.integer("trial_period_days"), params.integer("trial_end")
    return now + days * DAY_S if days else moment


def missing_card(settings: Params) -> str:
    """Return the requested behavior for a trial that ends without a card."""
    behavior = settings.nested("end_behavior")
    return behavior.choice("missing_payment_method", "create_invoice", "cancel", "pause")


def _read_constants(params: Params) -> None:
    """Accept parameters that have only one valid value here."""
    params.choice("collection_method", "charge_automatically")
    params.nested("billing_mode").choice("type", "flexible")
    params.choice("proration_behavior", *changes.BEHAVIORS)
    params.boolean("off_session")


def _change_fields(world: StripeWorld, subscription: Json, params: Params) -> None:
    subscription["metadata"] = merged(subscription["metadata"], params.free("metadata"))
    params.boolean("off_session")
    if "default_payment_method" in params:
        name = params.required("default_payment_method")
        subscription["default_payment_method"] = world.store.get("payment_method", name)["id"]
    if "description" in params:
        subscription["description"] = params.text("description")
    _take_details(subscription, params)
    later = params.boolean("cancel_at_period_end")
    if later is not None:
        _cancel_later(world, subscription, later=later)
    if "cancel_at" in params:
        subscription["cancel_at"] = params.integer("cancel_at")


def _take_details(subscription: Json, params: Params) -> None:
    details = params.nested("cancellation_details")
    for name in ("comment", "feedback"):
        if name in details:
            subscription["cancellation_details"][name] = details.text(name)


def _cancel_later(world: StripeWorld, subscription: Json, *, later: bool) -> None:
    subscription |= {
        "cancel_at_period_end": later,
        "cancel_at": period_of(subscription)[1] if later else None,
        "canceled_at": world.now_for(subscription["customer"]) if later else None,
    }
    subscription["cancellation_details"]["reason"] = "cancellation_requested" if later else None
