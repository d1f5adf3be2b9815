"""The items of a subscription: price, quantity and period."""

from collections.abc import Sequence

from sandbox.stripe import periods
from sandbox.stripe.errors import refuse
from sandbox.stripe.form import Params
from sandbox.stripe.lines import is_metered
from sandbox.stripe.store import Json
from sandbox.stripe.world import StripeWorld


def read_items(world: StripeWorld, requests: Sequence[Params]) -> list[Json]:
    """Read the items in a request, still without a period."""
    created = [
        new_item(world, one.required("price"), one.integer("quantity"), one.free("metadata")) for one in requests
    ]
    if not created:
        refuse("Missing required param: items.", param="items", code="parameter_missing")
    check(created)
    return created


def new_item(world: StripeWorld, price_id: str, quantity: int | None, metadata: Json | None = None) -> Json:
    """Build an item of an active, recurring price.

    Raises:
        StripeError: the price is none, or the quantity does not fit it.
    """
    price = world.store.get("price", price_id)
    if not price["active"]:
        refuse(f"The price specified is inactive: {price_id}.", param="items")
    if not price["recurring"]:
        refuse(f"The price specified is set to `type=one_time`: {price_id}.", param="items")
    metered = price["recurring"]["usage_type"] == "metered"
    if metered and quantity is not None:
        refuse("Quantity should not be specified where usage_type is `metered`.", param="items[quantity]")
    item: Json = {
        "id": world.new_id("si"),
        "object": "subscription_item",
        "billing_thresholds": None,
        "created": world.now(),
        "discounts": [],
        "metadata": metadata or {},
        "price": price,
        "tax_rates": [],
    }
    return item if metered else item | {"quantity": 1 if quantity is None else quantity}


def check(items: Sequence[Json]) -> None:
    """Refuse items that cannot be in one subscription.

    Raises:
        StripeError: a price occurs twice, or the prices renew at different times.
    """
    prices = [item["price"]["id"] for item in items]
    if len(set(prices)) < len(prices):
        refuse("Cannot add multiple subscription items with the same price.", param="items")
    if len({_rhythm(item) for item in items}) > 1:
        refuse("All prices must have the same interval; this Stripe knows no mixed ones.", param="items")


def assign_period(items: Sequence[Json], *, subscription: str, start: int, end: int) -> None:
    """Set the items' period to that of their subscription. Metering begins with it."""
    for item in items:
        item |= {"subscription": subscription, "current_period_start": start, "current_period_end": end}
        if is_metered(item):
            item["_usage_from"] = start


def end_of_period(items: Sequence[Json], *, anchor: int, start: int) -> int:
    """Return the end of a period that begins now."""
    interval, every = _rhythm(items[0])
    return periods.next_end(anchor, start=start, interval=interval, every=every)


def items_of(subscription: Json) -> list[Json]:
    """Return the items of a subscription."""
    found: list[Json] = subscription["items"]["data"]
    return found


def period_of(subscription: Json) -> tuple[int, int]:
    """Return the current period of a subscription."""
    first = items_of(subscription)[0]
    return first["current_period_start"], first["current_period_end"]


def listing(subscription_id: str, items: Sequence[Json]) -> Json:
    """Return the list of items as a subscription shows it."""
    url = f"/v1/subscription_items?subscription={subscription_id}"
    return {"object": "list", "data": list(items), "has_more": False, "url": url}


def _rhythm(item: Json) -> tuple[str, int]:
    recurring = item["price"]["recurring"]
    return recurring["interval"], recurring["interval_count"]
