"""Customers and their cards."""

from copy import deepcopy
from typing import Any

from sandbox.stripe.errors import refuse
from sandbox.stripe.form import Params
from sandbox.stripe.rendering import render
from sandbox.stripe.routes import Routes, StripeCall, list_page, matching, merged
from sandbox.stripe.store import Json
from sandbox.stripe.world import StripeWorld

routes = Routes()

_TEXTS = ("name", "email", "description", "phone")
GOOD_CARD = "4242424242424242"
_CARDS = {
    "pm_card_visa": GOOD_CARD,
    "tok_visa": GOOD_CARD,
    "pm_card_chargeCustomerFail": "4000000000000341",
    "tok_chargeCustomerFail": "4000000000000341",
}
"""Stripe's test cards by name. The second can be attached, but every charge fails."""

_REFUSED = "4000000000000002"
_FAILS_LATER = "4000000000000341"


@routes.post("/v1/customers")
def create_customer(call: StripeCall) -> Json:
    """Create a customer."""
    world, params = call.world, call.params
    clock = params.text("test_clock")
    customer: Json = {
        "id": world.new_id("cus"),
        "object": "customer",
        "_numbered": 0,
        "address": None,
        "balance": 0,
        "created": world.now({"test_clock": clock}),
        "currency": None,
        "default_source": None,
        "delinquent": False,
        "discount": None,
        "invoice_prefix": world.new_id("x")[-8:].upper(),
        "invoice_settings": _invoice_settings(None),
        "livemode": False,
        "metadata": params.free("metadata"),
        "preferred_locales": [],
        "shipping": None,
        "tax_exempt": "none",
        "test_clock": world.store.get("test_helpers.test_clock", clock)["id"] if clock else None,
        **{name: params.text(name) for name in _TEXTS},
    }
    method = params.text("payment_method")
    world.store.put(customer)
    if method:
        customer["invoice_settings"] = _invoice_settings(attach(world, method, customer)["id"])
    _take_default(world, customer, params)
    world.emit("customer.created", customer)
    return render(world.store.put(customer))


@routes.get("/v1/customers")
def list_customers(call: StripeCall) -> Json:
    """List all customers, or those with an email address or a test clock."""
    found = matching(
        call.world.store.all("customer"), email=call.params.text("email"), test_clock=call.params.text("test_clock")
    )
    return list_page(call, found, url="/v1/customers")


@routes.get("/v1/customers/{customer}")
def get_customer(call: StripeCall) -> Json:
    """Return a customer. A deleted customer is only its id and `deleted`."""
    found = call.world.store.find(call.path["customer"])
    if found and found.get("deleted"):
        return render(found)
    return render(call.world.store.get("customer", call.path["customer"]))


@routes.post("/v1/customers/{customer}")
def change_customer(call: StripeCall) -> Json:
    """Update a customer."""
    world, params = call.world, call.params
    customer = existing_customer(world, call.path["customer"])
    before = deepcopy(customer)
    for name in _TEXTS:
        if name in params:
            customer[name] = params.text(name)
    customer["metadata"] = merged(customer["metadata"], params.free("metadata"))
    _take_default(world, customer, params)
    return render(world.update(customer, "customer.updated", before=before))


@routes.delete("/v1/customers/{customer}")
def delete_customer(call: StripeCall) -> Json:
    """Delete a customer. Its subscriptions end at once, and its open invoices are no longer collected."""
    world = call.world
    customer = existing_customer(world, call.path["customer"])
    for subscription in world.store.all("subscription", customer=customer["id"]):
        if subscription["status"] != "canceled":
            now = world.now(customer)
            ended = {**subscription, "status": "canceled", "canceled_at": now, "ended_at": now}
            world.emit("customer.subscription.deleted", world.store.put(ended))
    for invoice in world.store.all("invoice", customer=customer["id"]):
        still = {"auto_advance": False, "automatically_finalizes_at": None, "next_payment_attempt": None}
        world.store.put({**invoice, **still})
    world.emit("customer.deleted", customer)
    return world.store.put({"id": customer["id"], "object": "customer", "deleted": True})


@routes.post("/v1/payment_methods")
def create_payment_method(call: StripeCall) -> Json:
    """Create a card from its number or from one of Stripe's test tokens."""
    call.params.choice("type", "card")
    card = call.params.nested("card")
    for ignored in ("exp_month", "exp_year", "cvc"):
        card.text(ignored)
    number = card.text("number") or _CARDS.get(card.text("token") or "")
    if not number:
        refuse("Give a card number, or the token tok_visa or tok_chargeCustomerFail.", param="card")
    return render(call.world.store.put(new_card(call.world, number)))


@routes.get("/v1/payment_methods")
def list_payment_methods(call: StripeCall) -> Json:
    """List the cards of a customer."""
    call.params.choice("type", "card")
    cards = call.world.store.all("payment_method", customer=call.params.required("customer"))
    return list_page(call, cards, url="/v1/payment_methods")


@routes.get("/v1/payment_methods/{method}")
def get_payment_method(call: StripeCall) -> Json:
    """Return a card."""
    return render(call.world.store.get("payment_method", call.path["method"]))


@routes.post("/v1/payment_methods/{method}/attach")
def attach_payment_method(call: StripeCall) -> Json:
    """Attach a card to a customer."""
    customer = existing_customer(call.world, call.params.required("customer"))
    return render(attach(call.world, call.path["method"], customer))


def existing_customer(world: StripeWorld, name: str) -> Json:
    """Return a customer that is not deleted.

    Raises:
        StripeError: there is none.
    """
    customer = world.store.find(name)
    if customer is None or customer["object"] != "customer" or customer.get("deleted"):
        refuse(f"No such customer: '{name}'", param="customer", code="resource_missing")
    return customer


def attach(world: StripeWorld, method: str, customer: Json) -> Json:
    """Attach a card to a customer, or a new one if the id is a test card's name."""
    card = new_card(world, _CARDS[method]) if method in _CARDS else world.store.get("payment_method", method)
    if card["customer"] not in (None, customer["id"]):
        refuse("This PaymentMethod belongs to another customer.", param="payment_method")
    card["customer"] = customer["id"]
    world.emit("payment_method.attached", world.store.put(card))
    return card


def make_default(world: StripeWorld, customer: Json, card: Json) -> None:
    """Set the card that pays a customer's invoices."""
    before = deepcopy(customer)
    customer["invoice_settings"] = _invoice_settings(card["id"])
    world.update(customer, "customer.updated", before=before)


def is_refused(number: str) -> bool:
    """Return whether the bank refuses to attach a card."""
    return _digits(number) == _REFUSED


def is_card_number(number: str) -> bool:
    """Return whether a text has the form of a card number."""
    digits = _digits(number)
    return digits.isdecimal() and len(digits) == 16


def fails_when_charged(card: Json) -> bool:
    """Return whether every payment with a card fails."""
    return bool(card["_number"] == _FAILS_LATER)


def new_card(world: StripeWorld, number: str) -> Json:
    """Create a card that is not attached to a customer."""
    address = dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state"))
    digits = _digits(number)
    return {
        "id": world.new_id("pm"),
        "object": "payment_method",
        "_number": digits,
        "allow_redisplay": "unspecified",
        "billing_details": {"address": address, "email": None, "name": None, "phone": None, "tax_id": None},
        "card": {
            "brand": "visa",
            "checks": None,
            "country": "US",
            "display_brand": "visa",
            "exp_month": 12,
            "exp_year": 2040,
            "fingerprint": f"local{digits[-4:]}",
            "funding": "credit",
            "generated_from": None,
            "last4": digits[-4:],
            "networks": {"available": ["visa"], "preferred": None},
            "regulated_status": "unregulated",
            "three_d_secure_usage": {"supported": True},
            "wallet": None,
        },
        "created": world.now(),
        "customer": None,
        "livemode": False,
        "metadata": {},
        "type": "card",
    }


def _take_default(world: StripeWorld, customer: Json, params: Params) -> None:
    settings = params.nested("invoice_settings")
    if "default_payment_method" in settings:
        method = settings.text("default_payment_method")
        customer["invoice_settings"] = _invoice_settings(
            world.store.get("payment_method", method)["id"] if method else None
        )


def _invoice_settings(method: str | None) -> dict[str, Any]:
    return {"custom_fields": None, "default_payment_method": method, "footer": None, "rendering_options": None}


def _digits(number: str) -> str:
    return number.replace(" ", "")
