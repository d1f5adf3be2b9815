"""The controls under `/_local/`, with which tests and the demo change this Stripe. Requests and responses are JSON."""

import re
from collections.abc import Callable
from typing import Any, cast

from sandbox.stripe import (
    checkout,
    clocks,
    customers,
    cycle,
    delivery,
    faults,
    invoices,
    payments,
    reports,
    webhooks,
)
from sandbox.stripe.errors import StripeError, refuse
from sandbox.stripe.items import period_of
from sandbox.stripe.rendering import render
from sandbox.stripe.routes import matching
from sandbox.stripe.store import Json
from sandbox.stripe.timeline import pass_time
from sandbox.stripe.world import DEFAULTS, StripeWorld

_STATUSES = ("active", "past_due", "unpaid", "canceled", "paused", "trialing", "incomplete", "incomplete_expired")
_CHAOS = frozenset({"duplicate", "drop", "delay_ms", "reorder", "hold"})

Control = Callable[[StripeWorld, str, Json], Json]


def control(world: StripeWorld, method: str, path: str, parameters: Json) -> tuple[int, Json]:
    """Handle a control request and return a status and a body."""
    for route_method, pattern, handler in _CONTROLS:
        matched = re.fullmatch(pattern, path)
        if route_method == method and matched:
            try:
                return 200, handler(world, (*matched.groups(), "")[0], parameters)
            except StripeError as error:
                return error.status, error.to_body()
    return 404, {"error": {"message": f"No such control: {method} {path}"}}


def _health(world: StripeWorld, _: str, __: Json) -> Json:
    return {"status": "healthy", "now": world.now(), "settings": {name: world.setting(name) for name in DEFAULTS}}


def _set_status(world: StripeWorld, name: str, parameters: Json) -> Json:
    """Set a subscription's state, with the events that Stripe would send on the way."""
    status = parameters.get("status")
    if status not in _STATUSES:
        refuse(f"status must be one of {', '.join(_STATUSES)}", param="status")
    with world.store.transaction():
        subscription = world.store.get("subscription", name)
        if status == "canceled":
            at = world.now_for(subscription["customer"])
            return render(cycle.end(world, subscription, at=at, reason="cancellation_requested"))
        was = subscription["status"]
        if status in {"past_due", "unpaid"}:
            _fail_a_payment(world, subscription)
        if status == "active" and was in {"past_due", "unpaid", "incomplete"}:
            _pay_open_invoices(world, subscription)
        subscription = world.store.get("subscription", name)
        if subscription["status"] != status:
            cycle.set_status(world, subscription, status)
        if status == "paused":
            world.emit("customer.subscription.paused", subscription)
        if was == "paused" and status == "active":
            world.emit("customer.subscription.resumed", subscription)
        return render(subscription)


def _fail_a_payment(world: StripeWorld, subscription: Json) -> None:
    start, end = period_of(subscription)
    if _open_invoices(world, subscription):
        invoice = _open_invoices(world, subscription)[0]
    else:
        of = cycle.base_lines(world, subscription)
        period = (start, end)
        made = invoices.draft(world, subscription, reason="subscription_cycle", of=of, period=period, grace_s=0)
        invoice = invoices.finalize(world, made)
    invoices.fail(world, invoice)


def _pay_open_invoices(world: StripeWorld, subscription: Json) -> None:
    for invoice in _open_invoices(world, subscription):
        before = world.setting("decline_payments")
        world.set("decline_payments", 0)
        cycle.pay(world, invoice)
        world.set("decline_payments", before)


def _open_invoices(world: StripeWorld, subscription: Json) -> list[Json]:
    found = matching(world.store.all("invoice", customer=subscription["customer"]), status="open")
    name = subscription["id"]
    return [one for one in found if one["parent"]["subscription_details"]["subscription"] == name]


def _advance(world: StripeWorld, _: str, parameters: Json) -> Json:
    """Advance the clock. Every action that is due on the way happens at its own time."""
    seconds = parameters.get("advance_s")
    if not isinstance(seconds, int):
        refuse("advance_s must be a whole number of seconds", param="advance_s")
    with world.store.transaction():
        until = world.now() + seconds
        done = pass_time(world, clock=None, until=until)
        world.set("offset_s", int(world.setting("offset_s")) + seconds)
    return {"now": until, "done": done}


def _advance_customer(world: StripeWorld, name: str, parameters: Json) -> Json:
    """Advance the time of one customer, as Stripe's test clocks do for new customers."""
    seconds = parameters.get("advance_s")
    if not isinstance(seconds, int):
        refuse("advance_s must be a whole number of seconds", param="advance_s")
    with world.store.transaction():
        customer = world.store.get("customer", name)
        if customer["test_clock"] is None:
            own = clocks.make(world, frozen_time=world.now(), name=name)["id"]
            of_customer = [one for kind in ("subscription", "invoice") for one in world.store.all(kind, customer=name)]
            for thing in (customer, *of_customer):
                world.store.put(thing | {"test_clock": own})
            customer = world.store.get("customer", name)
        clock = world.store.get("test_helpers.test_clock", customer["test_clock"])
        until = clock["frozen_time"] + seconds
        done = clocks.move(world, clock, until=until)
    return {"now": until, "done": done}


def _chaos(world: StripeWorld, _: str, parameters: Json) -> Json:
    if set(parameters) - _CHAOS or not all(isinstance(value, int) for value in parameters.values()):
        refuse(f"chaos takes whole numbers for {', '.join(sorted(_CHAOS))}", param="chaos")
    with world.store.transaction():
        world.set("chaos", parameters)
    return parameters


def _settings(world: StripeWorld, _: str, parameters: Json) -> Json:
    unknown = set(parameters) - (set(DEFAULTS) - {"offset_s", "faults", "chaos"})
    if unknown:
        refuse(f"There is no setting {min(unknown)}", param=min(unknown))
    with world.store.transaction():
        for name, value in parameters.items():
            world.set(name, value)
    return {name: world.setting(name) for name in DEFAULTS}


def _faults(world: StripeWorld, _: str, parameters: Json) -> Json:
    requested: list[dict[str, Any]] = parameters.get("next", [])
    for one in requested:
        if one.get("kind") not in faults.KINDS or set(one) - {"kind", "times", "path", "delay_ms"}:
            refuse(f"kind must be one of {', '.join(faults.KINDS)}", param="next")
    with world.store.transaction():
        world.set("faults", requested)
    return {"next": requested}


def _events(world: StripeWorld, _: str, __: Json) -> Json:
    return {"events": [render(one) for one in world.store.all("event")[::-1]]}


def _emit(world: StripeWorld, _: str, parameters: Json) -> Json:
    """Publish an event of any type, with any object or the object of an id."""
    kind, thing = parameters.get("type"), parameters.get("object")
    if isinstance(thing, str):
        thing = world.store.find(thing)
    if not isinstance(kind, str) or not isinstance(thing, dict):
        refuse("type must be a text, and object an object or the id of one", param="object")
    with world.store.transaction():
        return render(world.emit(kind, cast("Json", thing)))


def _resend(world: StripeWorld, name: str, _: Json) -> Json:
    """Deliver an event to every endpoint now, without faults, and return each endpoint's status code."""
    event = world.store.find(name)
    if event is None or event["object"] not in {"event", reports.KIND}:
        refuse(f"No such event: '{name}'", param="id", code="resource_missing")
    endpoints = [one for one in world.store.all("webhook_endpoint") if one["status"] == "enabled"]
    return {"statuses": {one["id"]: delivery.send(event, one) for one in endpoints}}


def _deliveries(world: StripeWorld, _: str, __: Json) -> Json:
    rows = world.store.run("SELECT event, endpoint, attempt FROM deliveries ORDER BY seq")
    return {
        "waiting": [{"event": event, "endpoint": endpoint, "attempt": attempt} for event, endpoint, attempt in rows]
    }


def _usage(world: StripeWorld, _: str, __: Json) -> Json:
    names = ("identifier", "event_name", "customer", "value", "timestamp")
    rows = world.store.run(f"SELECT {', '.join(names)} FROM usage ORDER BY rowid")  # noqa: S608 — our own names
    return {"events": [dict(zip(names, row, strict=True)) for row in rows]}


def _pay(world: StripeWorld, name: str, parameters: Json) -> Json:
    """Pay a checkout session in any state, as if the payment had been in progress when the session expired."""
    with world.store.transaction():
        session = world.store.get("checkout.session", name)
        number = str(parameters.get("number", customers.GOOD_CARD))
        return render(checkout.complete(world, {**session, "status": "open"}, number=number))


def _dispute(world: StripeWorld, _: str, parameters: Json) -> Json:
    with world.store.transaction():
        return render(payments.dispute(world, world.store.get("invoice", str(parameters.get("invoice")))))


def _point(world: StripeWorld, _: str, parameters: Json) -> Json:
    url = parameters.get("url")
    if not isinstance(url, str) or not url.startswith("http"):
        refuse("url must be an address", param="url")
    with world.store.transaction():
        return render(webhooks.set_mesh_url(world, url))


_CONTROLS: tuple[tuple[str, str, Control], ...] = (
    ("GET", "/_local/health", _health),
    ("POST", "/_local/subscriptions/([^/]+)", _set_status),
    ("POST", "/_local/clock", _advance),
    ("POST", "/_local/customers/([^/]+)/clock", _advance_customer),
    ("POST", "/_local/checkouts/([^/]+)/pay", _pay),
    ("POST", "/_local/disputes", _dispute),
    ("POST", "/_local/chaos", _chaos),
    ("POST", "/_local/settings", _settings),
    ("POST", "/_local/faults", _faults),
    ("GET", "/_local/events", _events),
    ("POST", "/_local/events", _emit),
    ("POST", "/_local/events/([^/]+)/resend", _resend),
    ("GET", "/_local/deliveries", _deliveries),
    ("GET", "/_local/meter_events", _usage),
    ("POST", "/_local/webhook", _point),
)
