"""The items of a subscription: which price, how many, and for which period."""

from collections.abc import Sequence

from infra.local.stripe import periods
from infra.local.stripe.errors import refuse
from infra.local.stripe.form import Params
from infra.local.stripe.lines import is_metered
from infra.local.stripe.store import Json
from infra.local.stripe.world import World


def read_items(world: World, given: Sequence[Params]) -> list[Json]:
    """The items that a request names, still without a period."""
    made = [new_item(world, one.required("price"), one.integer("quantity"), one.free("metadata")) for one in given]
    if not made:
        refuse("Missing required param: items.", param="items", code="parameter_missing")
    check(made)
    return made


def new_item(world: World, price_id: str, quantity: int | None, metadata: Json | None = None) -> Json:
    """An item of an active, recurring price.

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
        StripeError: a price is there twice, or the prices renew at different times.
    """
    prices = [item["price"]["id"] for item in items]
    if len(set(prices)) < len(prices):
        refuse("Cannot add multiple subscription items with the same price.", param="items")
    if len({_rhythm(item) for item in items}) > 1:
        refuse("All prices must have the same interval; this Stripe knows no mixed ones.", param="items")


def place(items: Sequence[Json], *, subscription: str, start: int, end: int) -> None:
    """Give items the period of their subscription; what they measure begins with it."""
    for item in items:
        item |= {"subscription": subscription, "current_period_start": start, "current_period_end": end}
        if is_metered(item):
            item["_usage_from"] = start


def end_of_period(items: Sequence[Json], *, anchor: int, start: int) -> int:
    """When a period that starts now ends."""
    interval, every = _rhythm(items[0])
    return periods.next_end(anchor, start=start, interval=interval, every=every)


def items_of(subscription: Json) -> list[Json]:
    """The items of a subscription."""
    found: list[Json] = subscription["items"]["data"]
    return found


def period_of(subscription: Json) -> tuple[int, int]:
    """The current period of a subscription."""
    first = items_of(subscription)[0]
    return first["current_period_start"], first["current_period_end"]


def listing(subscription_id: str, items: Sequence[Json]) -> Json:
    """Items as a subscription shows them."""
    url = f"/v1/subscription_items?subscription={subscription_id}"
    return {"object": "list", "data": list(items), "has_more": False, "url": url}


def _rhythm(item: Json) -> tuple[str, int]:
    recurring = item["price"]["recurring"]
    return recurring["interval"], recurring["interval_count"]
