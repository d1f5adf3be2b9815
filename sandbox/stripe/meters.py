"""Billing meters, their events and sums."""

import re
from copy import deepcopy

from sandbox.stripe import reports
from sandbox.stripe.errors import StripeError, refuse
from sandbox.stripe.rendering import render
from sandbox.stripe.routes import Routes, StripeCall, list_page, matching
from sandbox.stripe.store import Json
from sandbox.stripe.world import DAY_S, StripeWorld

routes = Routes()

_OLDEST_S = 35 * DAY_S
_AHEAD_S = 5 * 60
_WINDOWS = {"hour": 3600, "day": DAY_S}


@routes.post("/v1/billing/meters")
def create_meter(call: StripeCall) -> Json:
    """Create a meter. An event name has at most one active meter."""
    world, params = call.world, call.params
    name = params.required("event_name")
    if matching(world.store.all("billing.meter"), event_name=name, status="active"):
        msg = f"There's already an active meter with the event name {name}."
        raise StripeError(400, msg, "resource_already_exists", "event_name")
    mapping, value = params.nested("customer_mapping"), params.nested("value_settings")
    meter: Json = {
        "id": world.new_id("mtr"),
        "object": "billing.meter",
        "created": world.now(),
        "customer_mapping": {
            "event_payload_key": mapping.text("event_payload_key") or "stripe_customer_id",
            "type": mapping.choice("type", "by_id"),
        },
        "default_aggregation": {"formula": params.nested("default_aggregation").choice("formula", "sum")},
        "display_name": params.required("display_name"),
        "event_name": name,
        "event_time_window": params.text("event_time_window"),
        "livemode": False,
        "status": "active",
        "status_transitions": {"deactivated_at": None},
        "updated": world.now(),
        "value_settings": {"event_payload_key": value.text("event_payload_key") or "value"},
    }
    world.emit("billing.meter.created", world.store.put(meter))
    return render(meter)


@routes.get("/v1/billing/meters")
def list_meters(call: StripeCall) -> Json:
    """List all meters, or those that are active or inactive."""
    found = matching(call.world.store.all("billing.meter"), status=call.params.text("status"))
    return list_page(call, found, url="/v1/billing/meters")


@routes.get("/v1/billing/meters/{meter}")
def get_meter(call: StripeCall) -> Json:
    """Return a meter."""
    return render(call.world.store.get("billing.meter", call.path["meter"]))


@routes.post("/v1/billing/meters/{meter}")
def rename_meter(call: StripeCall) -> Json:
    """Update a meter's display name. Nothing else can change."""
    meter = call.world.store.get("billing.meter", call.path["meter"])
    before = deepcopy(meter)
    meter |= {"display_name": call.params.required("display_name"), "updated": call.world.now()}
    return render(call.world.update(meter, "billing.meter.updated", before=before))


@routes.post("/v1/billing/meters/{meter}/deactivate")
def deactivate_meter(call: StripeCall) -> Json:
    """Deactivate a meter."""
    return _switch(call, status="inactive", at=call.world.now())


@routes.post("/v1/billing/meters/{meter}/reactivate")
def reactivate_meter(call: StripeCall) -> Json:
    """Reactivate a meter."""
    return _switch(call, status="active", at=None)


@routes.post("/v1/billing/meter_events")
def record_meter_event(call: StripeCall) -> Json:
    """Record usage. The same identifier is never counted again.

    As at Stripe, an unknown customer is not an error of this request: the meter reports it as an event.
    """
    world, params = call.world, call.params
    name, payload = params.required("event_name"), params.free("payload")
    meter = next(iter(matching(world.store.all("billing.meter"), event_name=name, status="active")), None)
    if meter is None:
        refuse(f"No active meter found for event name {name}.", param="event_name")
    customer = payload.get(meter["customer_mapping"]["event_payload_key"])
    value = payload.get(meter["value_settings"]["event_payload_key"], "")
    if not customer or not re.fullmatch(r"-?\d{1,15}", value):
        refuse("The payload must hold a customer and a whole number as value.", param="payload")
    now = world.now_for(customer)
    timestamp = params.integer("timestamp")
    moment = now if timestamp is None else timestamp
    _refuse_out_of_bounds(moment, now=now)
    identifier = params.text("identifier") or world.new_id("mevt")
    if world.store.run("SELECT 1 FROM usage WHERE identifier = ?", identifier):
        # Stripe sends no code with it.
        refuse(f"An event already exists with identifier {identifier}.")
    if not _is_customer(world, customer):
        reports.emit(world, meter, identifier=identifier, code="meter_event_customer_not_found")
    world.store.run(
        "INSERT INTO usage (identifier, event_name, customer, value, timestamp, received_at) VALUES (?, ?, ?, ?, ?, ?)",
        *(identifier, name, customer, int(value), moment, world.real_now()),
    )
    return {
        "object": "billing.meter_event",
        "created": now,
        "event_name": name,
        "identifier": identifier,
        "livemode": False,
        "payload": payload,
        "timestamp": moment,
    }


@routes.post("/v1/billing/meter_event_adjustments")
def cancel_meter_event(call: StripeCall) -> Json:
    """Cancel a meter event by its identifier."""
    params = call.params
    name, identifier = params.required("event_name"), params.nested("cancel").required("identifier")
    params.choice("type", "cancel")
    found = call.world.store.run(
        "UPDATE usage SET value = 0 WHERE identifier = ? AND event_name = ? RETURNING 1", identifier, name
    )
    if not found:
        refuse(f"No event with identifier {identifier} can be cancelled.", param="cancel[identifier]")
    return {
        "object": "billing.meter_event_adjustment",
        "cancel": {"identifier": identifier},
        "event_name": name,
        "livemode": False,
        "status": "pending",
        "type": "cancel",
    }


@routes.get("/v1/billing/meters/{meter}/event_summaries")
def list_summaries(call: StripeCall) -> Json:
    """List the sums of a customer, as a total or by hour or day. They lag by `meter_lag_s`."""
    world, params = call.world, call.params
    meter = world.store.get("billing.meter", call.path["meter"])
    customer = params.required("customer")
    start, end = int(params.required("start_time")), int(params.required("end_time"))
    window = params.text("value_grouping_window")
    step = _WINDOWS[window] if window in _WINDOWS else max(end - start, 1)
    alignment = _WINDOWS.get(window or "", 60)
    if start % alignment or end % alignment or end <= start:
        refuse(f"start_time and end_time must be multiples of {alignment} s.", param="start_time")
    until = world.real_now() - int(world.setting("meter_lag_s"))
    steps = [(begin, min(begin + step, end)) for begin in range(start, end, step)]
    sums = [
        _summary(meter, begin, finish, total(world, customer, meter, start=begin, end=finish, received_until=until))
        for begin, finish in steps
    ]
    visible = [one for one in sums if one["aggregated_value"] or not window]
    return list_page(call, visible[::-1], url=f"/v1/billing/meters/{meter['id']}/event_summaries")


def total(
    world: StripeWorld, customer: str, meter: Json, *, start: int, end: int, received_until: int | None = None
) -> int:
    """Return the sum of a customer's events in a half-open span."""
    latest = received_until if received_until is not None else world.real_now()
    rows = world.store.run(
        "SELECT COALESCE(SUM(value), 0) FROM usage WHERE customer = ? AND event_name = ?"
        " AND timestamp >= ? AND timestamp < ? AND received_at <= ?",
        *(customer, meter["event_name"], start, end, latest),
    )
    return int(rows[0][0])


def _is_customer(world: StripeWorld, name: str) -> bool:
    found = world.store.find(name)
    return found is not None and found["object"] == "customer" and not found.get("deleted")


def _refuse_out_of_bounds(moment: int, *, now: int) -> None:
    if moment < now - _OLDEST_S:
        msg = "The timestamp must be within the past 35 calendar days."
        raise StripeError(400, msg, "timestamp_too_far_in_past", "timestamp")
    if moment > now + _AHEAD_S:
        msg = "The timestamp must not be more than 5 minutes in the future."
        raise StripeError(400, msg, "timestamp_in_future", "timestamp")


def _summary(meter: Json, start: int, end: int, value: int) -> Json:
    return {
        "id": f"mtrusg_{meter['id'].removeprefix('mtr_')}{start}",
        "object": "billing.meter_event_summary",
        "aggregated_value": value,
        "end_time": end,
        "livemode": False,
        "meter": meter["id"],
        "start_time": start,
    }


def _switch(call: StripeCall, *, status: str, at: int | None) -> Json:
    meter = call.world.store.get("billing.meter", call.path["meter"])
    before = deepcopy(meter)
    meter |= {"status": status, "status_transitions": {"deactivated_at": at}, "updated": call.world.now()}
    kind = "billing.meter.deactivated" if at else "billing.meter.reactivated"
    return render(call.world.update(meter, kind, before=before))
