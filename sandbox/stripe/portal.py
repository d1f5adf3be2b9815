"""The billing portal: its sessions and the changes that customers may make."""

from copy import deepcopy
from typing import Any

from sandbox.stripe import amounts, changes, cycle, schedules
from sandbox.stripe.customers import attach, existing_customer, is_card_number, is_refused, make_default, new_card
from sandbox.stripe.errors import declined, refuse
from sandbox.stripe.form import Params
from sandbox.stripe.items import items_of, new_item, period_of
from sandbox.stripe.lines import is_metered
from sandbox.stripe.rendering import render
from sandbox.stripe.routes import Routes, StripeCall, list_page, matching, merged
from sandbox.stripe.store import Json
from sandbox.stripe.world import StripeWorld

routes = Routes()

_LATER = "decreasing_item_amount"
"""The condition under which a change waits for the period's end: it makes the subscription cheaper."""


@routes.post("/v1/billing_portal/sessions")
def create_session(call: StripeCall) -> Json:
    """Create a session for a customer."""
    world, params = call.world, call.params
    customer = existing_customer(world, params.required("customer"))
    name = params.text("configuration")
    configuration = world.store.get("billing_portal.configuration", name) if name else _default(world)
    session: Json = {
        "id": world.new_id("bps"),
        "object": "billing_portal.session",
        "configuration": configuration["id"],
        "created": world.now(customer),
        "customer": customer["id"],
        "flow": _flow(params.nested("flow_data")) if "flow_data" in params else None,
        "livemode": False,
        "locale": params.text("locale"),
        "on_behalf_of": None,
        "return_url": params.text("return_url") or configuration["default_return_url"],
    }
    session["url"] = f"{world.base_url}/_pages/portal/{session['id']}"
    return render(world.store.put(session))


@routes.post("/v1/billing_portal/configurations")
def create_configuration(call: StripeCall) -> Json:
    """Create a configuration of allowed changes. The first configuration is the default."""
    world, params = call.world, call.params
    is_default = not world.store.all("billing_portal.configuration")
    created = _configuration(world, _features(params.nested("features"), {}), is_default=is_default)
    _set_texts(created, params)
    return render(world.store.put(created))


@routes.get("/v1/billing_portal/configurations")
def list_configurations(call: StripeCall) -> Json:
    """List all configurations."""
    params = call.params
    filters = {"active": params.boolean("active"), "is_default": params.boolean("is_default")}
    found = matching(call.world.store.all("billing_portal.configuration"), **filters)
    return list_page(call, found, url="/v1/billing_portal/configurations")


@routes.get("/v1/billing_portal/configurations/{configuration}")
def get_configuration(call: StripeCall) -> Json:
    """Return a configuration."""
    return render(call.world.store.get("billing_portal.configuration", call.path["configuration"]))


@routes.post("/v1/billing_portal/configurations/{configuration}")
def change_configuration(call: StripeCall) -> Json:
    """Update a configuration."""
    world, params = call.world, call.params
    found = world.store.get("billing_portal.configuration", call.path["configuration"])
    before = deepcopy(found)
    found["features"] = _features(params.nested("features"), found["features"])
    _set_texts(found, params)
    active = params.boolean("active")
    found["active"] = found["active"] if active is None else active
    return render(world.update(found, "billing_portal.configuration.updated", before=before))


def subscription_of(world: StripeWorld, customer: str) -> Json | None:
    """Return the subscription that a customer manages."""
    found = world.store.all("subscription", customer=customer)
    return next((one for one in found if one["status"] not in cycle.FINAL), None)


def choices(world: StripeWorld, session: Json) -> list[Json]:
    """Return the base prices to choose from: those of the configuration, else all active ones."""
    features = world.store.get("billing_portal.configuration", session["configuration"])["features"]
    products: list[Json] = features["subscription_update"]["products"]
    offered = {str(price) for one in products for price in one["prices"]}
    licensed = [one for one in matching(world.store.all("price"), active=True) if _is_base(one)]
    return [one for one in licensed[::-1] if not offered or one["id"] in offered]


def change_plan(world: StripeWorld, session: Json, subscription: Json, price_id: str) -> str:
    """Change to another base price and the metered prices of the same `metadata.plan`. Return when the change applies.

    A cheaper plan begins at the period's end if the configuration requires it.
    """
    price = world.store.get("price", price_id)
    update = world.store.get("billing_portal.configuration", session["configuration"])["features"][
        "subscription_update"
    ]
    if not update["enabled"] or price_id not in {one["id"] for one in choices(world, session)}:
        refuse("This plan cannot be chosen here.")
    now = next(item for item in items_of(subscription) if not is_metered(item))["price"]
    cheaper = _cents(price) < _cents(now)
    waits = any(one["type"] == _LATER for one in update["schedule_at_period_end"]["conditions"])
    if cheaper and waits:
        schedules.change_at_end(world, subscription, _items(world, subscription, price))
        return "Your plan changes at the end of the period."
    before = deepcopy(subscription)
    at, behavior = world.now_for(subscription["customer"]), update["proration_behavior"]
    of = changes.change_items(world, subscription, _items(world, subscription, price), at=at, behavior=behavior)
    changes.bill(world, subscription, of, at=at, behavior=behavior, payment="error_if_incomplete")
    world.update(subscription, "customer.subscription.updated", before=before)
    return "Your plan is changed."


def change_card(world: StripeWorld, customer: Json, number: str) -> None:
    """Set the card for future payments.

    Raises:
        StripeError: the card is invalid or declined.
    """
    if not is_card_number(number):
        refuse("Your card number is invalid.", param="number", code="invalid_number")
    if is_refused(number):
        raise declined()
    card = attach(world, world.store.put(new_card(world, number))["id"], customer)
    make_default(world, customer, card)
    subscription = subscription_of(world, customer["id"])
    if subscription:
        changed = {**subscription, "default_payment_method": card["id"]}
        world.update(changed, "customer.subscription.updated", before=subscription)


def cancel_later(world: StripeWorld, subscription: Json, *, later: bool) -> None:
    """Cancel at the period's end, or withdraw the cancellation."""
    before = deepcopy(subscription)
    subscription |= {
        "cancel_at_period_end": later,
        "cancel_at": period_of(subscription)[1] if later else None,
        "canceled_at": world.now_for(subscription["customer"]) if later else None,
    }
    subscription["cancellation_details"]["reason"] = "cancellation_requested" if later else None
    world.update(subscription, "customer.subscription.updated", before=before)


def _items(world: StripeWorld, subscription: Json, base: Json) -> list[Json]:
    """Return the items of a plan. A price that stays keeps its item."""
    has = {item["price"]["id"]: item for item in items_of(subscription)}
    plan = base["metadata"].get("plan")
    others = matching(world.store.all("price"), active=True)
    metered = [
        one for one in others if one["recurring"] and one["recurring"]["meter"] and one["metadata"].get("plan") == plan
    ]
    names = [base["id"], *(one["id"] for one in metered[::-1] if plan is not None)]
    return [has.get(name) or new_item(world, name, None) for name in names]


def _is_base(price: Json) -> bool:
    return bool(price["recurring"] and price["recurring"]["usage_type"] == "licensed")


def _cents(price: Json) -> int:
    return amounts.charge(price["unit_amount_decimal"], 1)


def _default(world: StripeWorld) -> Json:
    found = matching(world.store.all("billing_portal.configuration"), is_default=True)
    return found[0] if found else world.store.put(_configuration(world, _features(Params({}), {}), is_default=True))


def _configuration(world: StripeWorld, features: Json, *, is_default: bool) -> Json:
    return {
        "id": world.new_id("bpc"),
        "object": "billing_portal.configuration",
        "active": True,
        "application": None,
        "business_profile": {"headline": None, "privacy_policy_url": None, "terms_of_service_url": None},
        "created": world.now(),
        "default_return_url": None,
        "features": features,
        "is_default": is_default,
        "livemode": False,
        "login_page": {"enabled": False, "url": None},
        "metadata": {},
        "name": None,
        "updated": world.now(),
    }


def _features(requested: Params, had: dict[str, Any]) -> Json:
    """Merge the features in a request into the previous ones."""
    cancel, update = requested.nested("subscription_cancel"), requested.nested("subscription_update")
    was_cancel, was_update = had.get("subscription_cancel", {}), had.get("subscription_update", {})
    customer = requested.nested("customer_update")
    return {
        "customer_update": {
            "allowed_updates": customer.texts("allowed_updates"),
            "enabled": bool(customer.boolean("enabled")),
        },
        "invoice_history": {"enabled": _enabled(requested, "invoice_history", had)},
        "payment_method_update": {
            "enabled": _enabled(requested, "payment_method_update", had),
            "payment_method_configuration": None,
        },
        "subscription_cancel": {
            "cancellation_reason": {"enabled": False, "options": []},
            "enabled": _or(cancel.boolean("enabled"), was_cancel.get("enabled", True)),
            "mode": cancel.text("mode") or was_cancel.get("mode", "at_period_end"),
            "proration_behavior": cancel.text("proration_behavior") or was_cancel.get("proration_behavior", "none"),
        },
        "subscription_update": {
            "default_allowed_updates": update.texts("default_allowed_updates") or ["price"],
            "enabled": _or(update.boolean("enabled"), was_update.get("enabled", True)),
            "products": _products(update) or was_update.get("products", []),
            "proration_behavior": update.text("proration_behavior")
            or was_update.get("proration_behavior", "always_invoice"),
            "schedule_at_period_end": {"conditions": _conditions(update, was_update)},
            "trial_update_behavior": "end_trial",
        },
    }


def _enabled(requested: Params, name: str, had: dict[str, Any]) -> bool:
    return _or(requested.nested(name).boolean("enabled"), had.get(name, {}).get("enabled", True))


def _or(value: bool | None, otherwise: bool) -> bool:  # noqa: FBT001 — two values of one kind
    return otherwise if value is None else value


def _products(update: Params) -> list[Json]:
    return [
        {
            "adjustable_quantity": {"enabled": False, "maximum": None, "minimum": 1},
            "product": one.required("product"),
            "prices": one.texts("prices"),
        }
        for one in update.many("products")
    ]


def _conditions(update: Params, had: dict[str, Any]) -> list[Json]:
    requested = update.nested("schedule_at_period_end")
    if "conditions" in requested:
        return [{"type": one.choice("type", _LATER, "shortening_interval")} for one in requested.many("conditions")]
    return had.get("schedule_at_period_end", {}).get("conditions", [{"type": _LATER}])


def _set_texts(configuration: Json, params: Params) -> None:
    profile = params.nested("business_profile")
    for name in ("headline", "privacy_policy_url", "terms_of_service_url"):
        if name in profile:
            configuration["business_profile"][name] = profile.text(name)
    for name in ("default_return_url", "name"):
        if name in params:
            configuration[name] = params.text(name)
    configuration["metadata"] = merged(configuration["metadata"], params.free("metadata"))


def _flow(requested: Params) -> Json:
    kind = requested.choice("type", "payment_method_update", "subscription_cancel", "subscription_update")
    after = requested.nested("after_completion")
    redirect = after.nested("redirect").text("return_url")
    for name in ("subscription_cancel", "subscription_update"):
        requested.nested(name).text("subscription")
    return {
        "after_completion": {
            "hosted_confirmation": None,
            "redirect": {"return_url": redirect} if redirect else None,
            "type": after.choice("type", "portal_homepage", "redirect"),
        },
        "subscription_cancel": None,
        "subscription_update": None,
        "subscription_update_confirm": None,
        "type": kind,
    }
