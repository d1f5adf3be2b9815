"""Checkout sessions, through which a customer subscribes."""

from sandbox.stripe import amounts, cycle, invoices
from sandbox.stripe.customers import (
    attach,
    existing_customer,
    is_card_number,
    is_refused,
    make_default,
    new_card,
)
from sandbox.stripe.errors import declined, refuse
from sandbox.stripe.form import Params
from sandbox.stripe.items import check, new_item
from sandbox.stripe.rendering import render
from sandbox.stripe.routes import Routes, StripeCall, list_page, matching
from sandbox.stripe.store import Json
from sandbox.stripe.subscriptions import missing_card, trial_end
from sandbox.stripe.world import DAY_S, StripeWorld

routes = Routes()

_UNSET = (
    *("adaptive_pricing", "after_expiration", "allow_promotion_codes", "billing_address_collection", "client_secret"),
    *("consent", "consent_collection", "customer_creation", "customer_details", "customer_email", "invoice"),
    *("invoice_creation", "locale", "origin_context", "payment_intent", "payment_link", "recovered_from"),
    *("setup_intent", "shipping_address_collection", "shipping_cost", "submit_type", "subscription"),
)


@routes.post("/v1/checkout/sessions")
def create_session(call: StripeCall) -> Json:
    """Create a session, on whose page the customer subscribes."""
    world, params = call.world, call.params
    customer = existing_customer(world, params.required("customer"))
    if params.required("mode") != "subscription":
        refuse("This Stripe knows the mode `subscription` alone.", param="mode")
    line_items: list[Json] = [
        {"price": one.required("price"), "quantity": one.integer("quantity")} for one in params.many("line_items")
    ]
    items = [new_item(world, one["price"], one["quantity"]) for one in line_items]
    check(items)
    name = world.new_id("cs_test")
    session: Json = {
        **dict.fromkeys(_UNSET),
        **_fixed(name, items),
        "_data": _subscription_data(params.nested("subscription_data"), now=world.now(customer)),
        "_items": line_items,
        "cancel_url": params.text("cancel_url"),
        "client_reference_id": params.text("client_reference_id"),
        "created": world.now(customer),
        "customer": customer["id"],
        "expires_at": params.integer("expires_at") or world.now(customer) + DAY_S,
        "metadata": params.free("metadata"),
        "success_url": params.required("success_url"),
        "ui_mode": params.choice("ui_mode", "hosted_page"),
        "url": f"{world.base_url}/_pages/checkout/{name}",
    }
    params.choice("payment_method_collection", "always")
    if not items:
        refuse("Missing required param: line_items.", param="line_items", code="parameter_missing")
    return render(world.store.put(session))


@routes.get("/v1/checkout/sessions")
def list_sessions(call: StripeCall) -> Json:
    """List all sessions, or those of a customer, a subscription or a status."""
    params = call.params
    found = call.world.store.all("checkout.session", customer=params.text("customer"))
    filters = {"subscription": params.text("subscription"), "status": params.text("status")}
    return list_page(call, matching(found, **filters), url="/v1/checkout/sessions")


@routes.get("/v1/checkout/sessions/{session}")
def get_session(call: StripeCall) -> Json:
    """Return a session."""
    return render(call.world.store.get("checkout.session", call.path["session"]))


@routes.get("/v1/checkout/sessions/{session}/line_items")
def list_line_items(call: StripeCall) -> Json:
    """List the line items of a session."""
    session = call.world.store.get("checkout.session", call.path["session"])
    url = f"/v1/checkout/sessions/{session['id']}/line_items"
    return list_page(call, [_line_item(call.world, one) for one in session["_items"]], url=url)


@routes.post("/v1/checkout/sessions/{session}/expire")
def expire_session(call: StripeCall) -> Json:
    """Expire an open session."""
    session = call.world.store.get("checkout.session", call.path["session"])
    if session["status"] != "open":
        refuse('Only Checkout Sessions with a status in ["open"] can be expired.', param="session")
    expire(call.world, session)
    return render(session)


def expire(world: StripeWorld, session: Json) -> None:
    """Expire a session and publish its event."""
    session |= {"status": "expired", "url": None}
    world.emit("checkout.session.expired", world.store.put(session))


def complete(world: StripeWorld, session: Json, *, number: str) -> Json:
    """Handle the page's button: save the card, create the subscription, and pay.

    Raises:
        StripeError: the card is invalid or declined. Nothing changes.
    """
    if session["status"] != "open":
        refuse("This session is not open any more.")
    if not is_card_number(number):
        refuse("Your card number is invalid.", param="number", code="invalid_number")
    if is_refused(number):
        raise declined()
    invoices.refuse_decline(world)
    customer = existing_customer(world, session["customer"])
    card = attach(world, world.store.put(new_card(world, number))["id"], customer)
    make_default(world, customer, card)
    items = [new_item(world, one["price"], one["quantity"]) for one in session["_items"]]
    subscription = cycle.start(world, customer, items, card=card["id"], **session["_data"])
    session |= {
        "customer_details": _details(customer),
        "invoice": subscription["latest_invoice"],
        "payment_status": "paid" if session["amount_total"] else "no_payment_required",
        "status": "complete",
        "subscription": subscription["id"],
        "url": None,
    }
    world.emit("checkout.session.completed", world.store.put(session))
    return session


def _subscription_data(data: Params, *, now: int) -> Json:
    return {
        "metadata": data.free("metadata"),
        "trial_end": trial_end(data, now=now),
        "on_missing_card": missing_card(data.nested("trial_settings")),
    }


def _details(customer: Json) -> Json:
    return {
        "address": None,
        "business_name": None,
        "email": customer["email"],
        "individual_name": None,
        "name": customer["name"],
        "phone": customer["phone"],
        "tax_exempt": "none",
        "tax_ids": [],
    }


def _fixed(name: str, items: list[Json]) -> Json:
    cents = sum(amounts.charge(item["price"]["unit_amount_decimal"], item.get("quantity", 0)) for item in items)
    return {
        "id": name,
        "object": "checkout.session",
        "amount_subtotal": cents,
        "amount_total": cents,
        "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
        "currency": "usd",
        "custom_fields": [],
        "custom_text": dict.fromkeys(("after_submit", "shipping_address", "submit", "terms_of_service_acceptance")),
        "livemode": False,
        "mode": "subscription",
        "payment_method_collection": "always",
        "payment_method_options": {},
        "payment_method_types": ["card"],
        "payment_status": "unpaid",
        "shipping_options": [],
        "status": "open",
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
    }


def _line_item(world: StripeWorld, one: Json) -> Json:
    price = world.store.get("price", one["price"])
    quantity = one["quantity"] or (1 if price["recurring"]["usage_type"] == "licensed" else 0)
    cents = amounts.charge(price["unit_amount_decimal"], quantity)
    return {
        "id": f"li_{price['id'].removeprefix('price_')}",
        "object": "item",
        "amount_discount": 0,
        "amount_subtotal": cents,
        "amount_tax": 0,
        "amount_total": cents,
        "currency": "usd",
        "description": price["nickname"] or world.store.get("product", price["product"])["name"],
        "price": price,
        "quantity": quantity or None,
    }
