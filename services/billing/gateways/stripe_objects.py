"""Stripe's objects in our words: pure, so that the shapes of its API are known here alone.

https://docs.stripe.com/api, version 2026-08-26.dahlia
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, cast

from services.billing.domain.catalogue import BASE, PAID_PLANS, items_of, lookup_key
from services.billing.domain.cost import Period
from services.billing.domain.invoice import Invoice, InvoiceLine
from services.billing.domain.price import PICOCENTS_PER_CENT
from services.billing.domain.subscription import Subscription, SubscriptionState
from shared.plans import Plan

Json = Mapping[str, Any]

MAX_LINES = 250
"""Lines of an invoice that are stored: together some 100 KB, of the 400 KB that an item may have."""
_DESCRIPTION_CHARS = 200

PLAN, ITEM, TENANT = "plan", "item", "tenant_id"
"""What our prices, and our customers and subscriptions, carry in their metadata."""

_KEYS = {lookup_key(plan, item): (plan, item) for plan in PAID_PLANS for item in items_of(plan)}


def moment(seconds: int) -> datetime:
    """Stripe counts whole seconds since 1970."""
    return datetime.fromtimestamp(seconds, UTC)


def seconds(at: datetime) -> int:
    """The moment as Stripe writes it."""
    return int(at.timestamp())


def place_of(price: Json) -> tuple[Plan, str] | None:
    """The plan and item that a price is of, by its metadata or else its lookup key; None: it is not ours."""
    said = within(price, "metadata")
    if said.get(PLAN) in set(PAID_PLANS):
        return Plan(said[PLAN]), str(said.get(ITEM, BASE))
    return _KEYS.get(str(price.get("lookup_key")))


def subscription_of(said: Json, *, failing_since: datetime | None = None) -> Subscription | None:
    """A subscription; None when it has no price of ours."""
    items: list[Json] = list(said["items"]["data"])
    plan = next((place[0] for item in items if (place := place_of(item["price"]))), None)
    if plan is None:
        return None
    start = min(int(item["current_period_start"]) for item in items)
    end = min(int(item["current_period_end"]) for item in items)
    return Subscription(
        subscription_id=str(said["id"]),
        state=SubscriptionState(said["status"]),
        plan=plan,
        started_at=moment(said["start_date"]),
        period=Period(moment(start), moment(end)),
        next_plan=_next_plan(said, plan),
        ended_at=moment(said["ended_at"]) if said.get("ended_at") else None,
        failing_since=failing_since,
        tenant_id=within(said, "metadata").get(TENANT),
    )


def _next_plan(said: Json, plan: Plan) -> Plan | None:
    if said.get("ended_at"):
        return None
    if said.get("cancel_at_period_end") or said.get("cancel_at"):
        return Plan.FREE
    phases: list[Json] = within(said, "schedule").get("phases") or []
    planned = within(phases[-1], "metadata").get(PLAN) if phases else None
    return Plan(planned) if planned and planned != plan else None


def failing_since(open_invoices: Iterable[Json]) -> datetime | None:
    """When the oldest of these was to be paid first: that is when it became final."""
    finals = [
        int(invoice["status_transitions"]["finalized_at"] or invoice["created"])
        for invoice in open_invoices
        if invoice["attempted"]
    ]
    return moment(min(finals)) if finals else None


def invoice_of(said: Json, *, lines: Sequence[Json], places: Mapping[str, tuple[Plan, str]]) -> Invoice:
    """An invoice; the amount of lines over `MAX_LINES` is one line more, so that the sum is right.

    Args:
        said: the invoice.
        lines: its lines, one over `MAX_LINES` at most.
        places: the plans and items of our prices, by their ids.
    """
    shown = [_line_of(line, places) for line in lines[:MAX_LINES]]
    if len(lines) > MAX_LINES:
        shown.append(_rest_of(said, shown))
    return Invoice(
        invoice_id=str(said["id"]),
        number=said.get("number"),
        status=said.get("status") or "draft",
        currency=str(said["currency"]),
        amount_cents=int(said["amount_due"]),
        attempts=int(said["attempt_count"]),
        period=Period(moment(said["period_start"]), moment(said["period_end"])),
        created_at=moment(said["created"]),
        hosted_url=said.get("hosted_invoice_url"),
        lines=tuple(shown),
        credited_cents=int(said["post_payment_credit_notes_amount"]),
    )


def _rest_of(said: Json, shown: Iterable[InvoiceLine]) -> InvoiceLine:
    amount = int(said["subtotal"]) - sum(line.amount_cents for line in shown)
    period = Period(moment(said["period_start"]), moment(said["period_end"]))
    return InvoiceLine("rest", "other", "All further lines", None, amount, period, proration=False)


def _line_of(said: Json, places: Mapping[str, tuple[Plan, str]]) -> InvoiceLine:
    _, item = places.get(price_of_line(said) or "", (None, "other"))
    return InvoiceLine(
        line_id=str(said["id"]),
        item=item,
        description=(said.get("description") or "")[:_DESCRIPTION_CHARS],
        quantity=said.get("quantity"),
        amount_cents=int(said["amount"]),
        period=Period(moment(said["period"]["start"]), moment(said["period"]["end"])),
        proration=_is_proration(within(said, "parent")),
    )


def price_of_line(said: Json) -> str | None:
    """The id of the price that a line is charged by."""
    details = within(within(said, "pricing"), "price_details")
    price = within(details, "price").get("id") or details.get("price")
    return str(price) if price else None


def _is_proration(parent: Json) -> bool:
    kinds = ("subscription_item_details", "invoice_item_details")
    return any(bool(within(parent, kind).get("proration")) for kind in kinds)


def within(said: Json, name: str) -> Json:
    """The object under this name; empty where there is none, or only its id."""
    found: object = said.get(name)
    return cast("Json", found) if isinstance(found, Mapping) else {}


def picocents_of(price: Json) -> int:
    """The price of one unit, from Stripe's decimal number of cents."""
    return int(Decimal(str(price.get("unit_amount_decimal") or 0)) * PICOCENTS_PER_CENT)
