"""Subscription schedules: the future phases of a subscription."""

from collections.abc import Sequence
from copy import deepcopy

from sandbox.stripe import changes, cycle
from sandbox.stripe.errors import refuse
from sandbox.stripe.form import Params
from sandbox.stripe.items import items_of, new_item, period_of
from sandbox.stripe.periods import after, next_end
from sandbox.stripe.rendering import render
from sandbox.stripe.routes import Routes, StripeCall, list_page, merged
from sandbox.stripe.store import Json
from sandbox.stripe.world import StripeWorld

routes = Routes()

_ENDS = ("release", "cancel")
_UNSET = (
    *("application_fee_percent", "billing_cycle_anchor", "billing_thresholds", "collection_method"),
    *("default_payment_method", "description", "invoice_settings", "on_behalf_of", "transfer_data", "trial_end"),
)

_SETTINGS: Json = {
    "application_fee_percent": None,
    "billing_cycle_anchor": "automatic",
    "billing_thresholds": None,
    "collection_method": "charge_automatically",
    "default_payment_method": None,
    "description": None,
    "invoice_settings": {
        "account_tax_ids": None,
        "custom_fields": None,
        "days_until_due": None,
        "description": None,
        "footer": None,
        "issuer": {"type": "self"},
    },
    "on_behalf_of": None,
    "transfer_data": None,
}


@routes.post("/v1/subscription_schedules")
def create_schedule(call: StripeCall) -> Json:
    """Create a schedule for an active subscription. Its first phase is the current period."""
    subscription = call.world.store.get("subscription", call.params.required("from_subscription"))
    return render(create(call.world, subscription, metadata=call.params.free("metadata")))


@routes.get("/v1/subscription_schedules")
def list_schedules(call: StripeCall) -> Json:
    """List all schedules, or those of a customer."""
    found = call.world.store.all("subscription_schedule", customer=call.params.text("customer"))
    return list_page(call, found, url="/v1/subscription_schedules")


@routes.get("/v1/subscription_schedules/{schedule}")
def get_schedule(call: StripeCall) -> Json:
    """Return a schedule."""
    return render(call.world.store.get("subscription_schedule", call.path["schedule"]))


@routes.post("/v1/subscription_schedules/{schedule}")
def change_schedule(call: StripeCall) -> Json:
    """Update the phases of a schedule. It must contain all phases that have begun."""
    world, params = call.world, call.params
    schedule = _active(world, call.path["schedule"])
    before = deepcopy(schedule)
    if "end_behavior" in params:
        schedule["end_behavior"] = params.choice("end_behavior", *_ENDS)
    schedule["metadata"] = merged(schedule["metadata"], params.free("metadata"))
    params.choice("proration_behavior", *changes.BEHAVIORS)
    if "phases" in params:
        schedule["phases"] = _read_phases(world, schedule, params.many("phases"))
    return render(world.update(schedule, "subscription_schedule.updated", before=before))


@routes.post("/v1/subscription_schedules/{schedule}/release")
def release_schedule(call: StripeCall) -> Json:
    """Release a subscription from its schedule without changing it."""
    call.params.boolean("preserve_cancel_date")
    schedule = _active(call.world, call.path["schedule"])
    release(call.world, schedule)
    return render(schedule)


@routes.post("/v1/subscription_schedules/{schedule}/cancel")
def cancel_schedule(call: StripeCall) -> Json:
    """Cancel a schedule and its subscription now."""
    world = call.world
    with_invoice = call.params.boolean("invoice_now") is not False
    schedule = _active(world, call.path["schedule"])
    subscription = world.store.get("subscription", schedule["subscription"])
    at = world.now_for(schedule["customer"])
    cycle.end(world, subscription, at=at, with_invoice=with_invoice, reason="cancellation_requested")
    canceled = world.store.get("subscription_schedule", schedule["id"])
    world.emit("subscription_schedule.canceled", canceled)
    return render(canceled)


def create(world: StripeWorld, subscription: Json, *, metadata: Json) -> Json:
    """Create a schedule whose only phase is the subscription's current period.

    Raises:
        StripeError: the subscription has a schedule already, or has ended.
    """
    if subscription["schedule"] or subscription["status"] in cycle.FINAL:
        refuse("The subscription has a schedule already, or has ended.", param="from_subscription")
    start, end = period_of(subscription)
    items = [_phase_item(item["price"]["id"], item.get("quantity")) for item in items_of(subscription)]
    schedule: Json = {
        "id": world.new_id("sub_sched"),
        "object": "subscription_schedule",
        "application": None,
        "billing_mode": subscription["billing_mode"],
        "canceled_at": None,
        "completed_at": None,
        "created": world.now_for(subscription["customer"]),
        "current_phase": {"end_date": end, "start_date": start},
        "customer": subscription["customer"],
        "default_settings": deepcopy(_SETTINGS),
        "end_behavior": "release",
        "livemode": False,
        "metadata": metadata,
        "phases": [_phase(items, start=start, end=end, behavior="create_prorations", metadata={})],
        "released_at": None,
        "released_subscription": None,
        "status": "active",
        "subscription": subscription["id"],
        "test_clock": subscription["test_clock"],
    }
    world.emit("subscription_schedule.created", world.store.put(schedule))
    before = deepcopy(subscription)
    subscription["schedule"] = schedule["id"]
    world.update(subscription, "customer.subscription.updated", before=before)
    return schedule


def change_at_end(world: StripeWorld, subscription: Json, items: Sequence[Json]) -> None:
    """Schedule other items for a subscription from its next period, replacing the present schedule."""
    planned = subscription["schedule"]
    schedule = (
        world.store.get("subscription_schedule", planned) if planned else create(world, subscription, metadata={})
    )
    before = deepcopy(schedule)
    begin = schedule["current_phase"]["end_date"]
    recurring = items[0]["price"]["recurring"]
    end = next_end(
        subscription["billing_cycle_anchor"],
        start=begin,
        interval=recurring["interval"],
        every=recurring["interval_count"],
    )
    phase_items = [_phase_item(item["price"]["id"], item.get("quantity")) for item in items]
    following = _phase(phase_items, start=begin, end=end, behavior="none", metadata={})
    schedule["phases"] = [*(one for one in schedule["phases"] if one["end_date"] <= begin), following]
    world.update(schedule, "subscription_schedule.updated", before=before)


def release(world: StripeWorld, schedule: Json) -> None:
    """Detach a schedule from its subscription."""
    subscription = world.store.get("subscription", schedule["subscription"])
    schedule |= {
        "status": "released",
        "released_at": world.now_for(schedule["customer"]),
        "released_subscription": schedule["subscription"],
        "subscription": None,
        "current_phase": None,
    }
    world.emit("subscription_schedule.released", world.store.put(schedule))
    world.update({**subscription, "schedule": None}, "customer.subscription.updated", before=subscription)


def advance(world: StripeWorld, schedule: Json) -> None:
    """Begin the next phase. After the last one the schedule ends."""
    at = schedule["current_phase"]["end_date"]
    subscription = world.store.get("subscription", schedule["subscription"])
    phase = next((one for one in schedule["phases"] if one["start_date"] == at), None)
    if phase is None and schedule["end_behavior"] == "cancel":
        cycle.end(world, subscription, at=at, reason="cancellation_requested")
        return
    if phase is None:
        release(world, schedule)
        return
    before, before_schedule = deepcopy(subscription), deepcopy(schedule)
    behavior = phase["proration_behavior"]
    new_items = _items_of_phase(world, subscription, phase)
    of = changes.change_items(world, subscription, new_items, at=at, behavior=behavior)
    pending = behavior if at < period_of(subscription)[1] else "create_prorations"
    changes.bill(world, subscription, of, at=at, behavior=pending, payment="allow_incomplete")
    subscription["metadata"] = {**subscription["metadata"], **phase["metadata"]}
    world.update(subscription, "customer.subscription.updated", before=before)
    schedule["current_phase"] = {"start_date": at, "end_date": phase["end_date"]}
    world.update(schedule, "subscription_schedule.updated", before=before_schedule)


def _items_of_phase(world: StripeWorld, subscription: Json, phase: Json) -> list[Json]:
    """Return a phase's items. A price that stays keeps its item."""
    has = {item["price"]["id"]: item for item in items_of(subscription)}
    return [
        {**has[one["price"]], **({"quantity": one["quantity"]} if "quantity" in has[one["price"]] else {})}
        if one["price"] in has
        else new_item(world, one["price"], one["_given_quantity"])
        for one in phase["items"]
    ]


def _read_phases(world: StripeWorld, schedule: Json, requested: Sequence[Params]) -> list[Json]:
    begin = schedule["phases"][0]["start_date"]
    subscription = world.store.get("subscription", schedule["subscription"])
    phases: list[Json] = []
    for one in requested:
        start = one.integer("start_date") or begin
        if start != begin:
            refuse("A phase must start where the one before it ends.", param="phases")
        begin = _end_of_phase(one, start=start, subscription=subscription)
        items = [_read_item(world, item) for item in one.many("items")]
        behavior = one.choice("proration_behavior", *changes.BEHAVIORS)
        phases.append(_phase(items, start=start, end=begin, behavior=behavior, metadata=one.free("metadata")))
    current = schedule["current_phase"]
    if current not in [{"end_date": one["end_date"], "start_date": one["start_date"]} for one in phases]:
        refuse("The phase that has begun must keep its dates.", param="phases")
    return phases


def _end_of_phase(requested: Params, *, start: int, subscription: Json) -> int:
    """Return the end of a phase. Without an explicit end it lasts one period of its price."""
    end, duration = requested.integer("end_date"), requested.nested("duration")
    if end is not None:
        return end
    recurring = items_of(subscription)[0]["price"]["recurring"]
    interval = duration.text("interval") or recurring["interval"]
    anchor = subscription["billing_cycle_anchor"]
    grid = 0
    while after(anchor, interval=interval, count=grid) < start:
        grid += 1
    return after(anchor, interval=interval, count=grid + (duration.integer("interval_count") or 1))


def _read_item(world: StripeWorld, requested: Params) -> Json:
    price, quantity = requested.required("price"), requested.integer("quantity")
    new_item(world, price, quantity)  # refuses invalid prices
    metered = world.store.get("price", price)["recurring"]["usage_type"] == "metered"
    return _phase_item(price, None if metered else quantity or 1)


def _phase_item(price: str, quantity: int | None) -> Json:
    item: Json = {"billing_thresholds": None, "discounts": [], "metadata": {}, "price": price, "tax_rates": []}
    quantity_field = {} if quantity is None else {"quantity": quantity}
    return {**item, **quantity_field, "_given_quantity": quantity}


def _phase(items: list[Json], *, start: int, end: int, behavior: str, metadata: Json) -> Json:
    return {
        **dict.fromkeys(_UNSET),
        "add_invoice_items": [],
        "currency": "usd",
        "discounts": [],
        "end_date": end,
        "items": items,
        "metadata": metadata,
        "proration_behavior": behavior,
        "start_date": start,
    }


def _active(world: StripeWorld, name: str) -> Json:
    schedule = world.store.get("subscription_schedule", name)
    if schedule["status"] != "active":
        refuse("You can only change a schedule that is active.", param="schedule")
    return schedule
