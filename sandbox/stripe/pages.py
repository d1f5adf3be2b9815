"""The pages for a browser: checkout, portal and invoice."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sandbox.stripe import checkout, cycle, portal
from sandbox.stripe.amounts import charge
from sandbox.stripe.errors import StripeError
from sandbox.stripe.items import items_of, period_of
from sandbox.stripe.lines import is_metered
from sandbox.stripe.page import button, card_number, choice, dollars, form, link, page, table, text
from sandbox.stripe.store import Json
from sandbox.stripe.world import StripeWorld

_MISSING = 404


@dataclass(frozen=True)
class RenderedPage:
    """A page or a redirect."""

    html: str = ""
    location: str | None = None
    status: int = 200


def render_page(world: StripeWorld, kind: str, name: str, *, sent: dict[str, Any] | None) -> RenderedPage:
    """Handle a browser's request.

    Args:
        world: the account.
        kind: `checkout`, `portal` or `invoices`.
        name: the id of the session or the invoice.
        sent: the posted form; None for a GET.
    """
    render = {"checkout": _checkout, "portal": _portal, "invoices": _invoice}[kind]
    try:
        with world.store.transaction():
            return render(world, name, sent, "")
    except StripeError as error:
        if error.status == _MISSING:
            return RenderedPage(page("There is no such page"), status=_MISSING)
        with world.store.transaction():
            return render(world, name, None, error.message)


def _checkout(world: StripeWorld, name: str, sent: dict[str, Any] | None, problem: str) -> RenderedPage:
    session = world.store.get("checkout.session", name)
    if sent and sent.get("action") == "cancel" and session["cancel_url"]:
        return RenderedPage(location=session["cancel_url"])
    if sent and sent.get("action") == "pay":
        session = checkout.complete(world, session, number=str(sent.get("number", "")))
        return RenderedPage(location=session["success_url"].replace("{CHECKOUT_SESSION_ID}", session["id"]))
    if session["status"] != "open":
        return RenderedPage(page("Checkout", text(f"This session is {session['status']}.")))
    prices = [world.store.get("price", one["price"]) for one in session["_items"]]
    rows = [(_price_name(world, price), _price_text(price)) for price in prices]
    due = text(f"Due today: {dollars(session['amount_total'])}")
    back = button("cancel", "Cancel") if session["cancel_url"] else ""
    paying = form("Pay with card", card_number(), button("pay", "Subscribe"), back)
    return RenderedPage(page("Subscribe to ainexus", table(("Item", "Price"), rows), due, paying, problem=problem))


def _portal(world: StripeWorld, name: str, sent: dict[str, Any] | None, problem: str) -> RenderedPage:
    session = world.store.get("billing_portal.session", name)
    customer = world.store.get("customer", session["customer"])
    subscription = portal.subscription_of(world, customer["id"])
    note = _act(world, session, customer, subscription, sent) if sent else ""
    subscription = portal.subscription_of(world, customer["id"])
    customer = world.store.get("customer", customer["id"])
    parts = [_current(world, session, subscription)] if subscription else [text("You have no subscription.")]
    parts += [_card(world, customer), _history(world, customer["id"])]
    if session["return_url"]:
        parts.append(link(session["return_url"], "Return to ainexus"))
    return RenderedPage(page("Your billing", *parts, problem=problem, note=note))


def _invoice(world: StripeWorld, name: str, sent: dict[str, Any] | None, problem: str) -> RenderedPage:
    invoice = world.store.get("invoice", name)
    note = ""
    if sent and sent.get("action") == "pay" and invoice["status"] == "open":
        problem, note = ("", "Paid.") if cycle.pay(world, invoice) else ("Your card was declined.", "")
    rows = [(str(line["description"]), dollars(line["amount"])) for line in invoice["_lines"]]
    rows.append(("Total", dollars(invoice["total"])))
    parts = [text(f"Status: {invoice['status']}"), table(("Line", "Amount"), rows)]
    if invoice["status"] == "open":
        parts.append(form("Payment", button("pay", f"Pay {dollars(invoice['amount_due'])}")))
    return RenderedPage(page(f"Invoice {invoice['number'] or '(draft)'}", *parts, problem=problem, note=note))


def _act(world: StripeWorld, session: Json, customer: Json, subscription: Json | None, sent: dict[str, Any]) -> str:
    action = sent.get("action")
    if action == "card":
        portal.change_card(world, customer, str(sent.get("number", "")))
        return "Your card is changed."
    if subscription is None:
        return ""
    if action == "plan":
        return portal.change_plan(world, session, subscription, str(sent.get("price", "")))
    if action in {"cancel", "keep"}:
        portal.cancel_later(world, subscription, later=action == "cancel")
        return "Your subscription ends with the period." if action == "cancel" else "Your subscription goes on."
    return ""


def _current(world: StripeWorld, session: Json, subscription: Json) -> str:
    base = next((item for item in items_of(subscription) if not is_metered(item)), None)
    has = base["price"]["id"] if base else ""
    options = [
        choice("price", one["id"], f"{_price_name(world, one)}: {_price_text(one)}", chosen=one["id"] == has)
        for one in portal.choices(world, session)
    ]
    ending = subscription["cancel_at_period_end"]
    leave = button("keep", "Keep the subscription") if ending else button("cancel", "Cancel with the period")
    status = text(f"Status: {subscription['status']}{', ends with the period' if ending else ''}.")
    until = text(f"The period ends on {_day(period_of(subscription)[1])}.")
    return status + until + form("Plan", *options, button("plan", "Change plan")) + form("Subscription", leave)


def _card(world: StripeWorld, customer: Json) -> str:
    name = customer["invoice_settings"]["default_payment_method"]
    has = (
        text(f"Card ending in {world.store.get('payment_method', name)['card']['last4']}.")
        if name
        else text("No card.")
    )
    return has + form("Card", card_number(), button("card", "Change card"))


def _history(world: StripeWorld, customer: str) -> str:
    found = [one for one in world.store.all("invoice", customer=customer) if one["status"] != "draft"]
    rows = [(str(one["number"]), one["status"], dollars(one["total"])) for one in found]
    links = [
        link(one["hosted_invoice_url"], f"Pay invoice {one['number']}") for one in found if one["status"] == "open"
    ]
    return table(("Invoice", "Status", "Total"), rows) + "".join(links) if rows else ""


def _day(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).date().isoformat()


def _price_name(world: StripeWorld, price: Json) -> str:
    return str(price["nickname"] or world.store.get("product", price["product"])["name"])


def _price_text(price: Json) -> str:
    recurring = price["recurring"]
    if recurring["usage_type"] == "metered":
        return f"{price['unit_amount_decimal']} cents each, by use"
    return f"{dollars(charge(price['unit_amount_decimal'], 1))} a {recurring['interval']}"
