"""The lines of an invoice: a price for a whole or partial period, or usage."""

from sandbox.stripe import amounts, meters
from sandbox.stripe.store import Json
from sandbox.stripe.world import StripeWorld


def is_metered(item: Json) -> bool:
    """Return whether a subscription's item is billed by usage."""
    return bool(item["price"]["recurring"]["usage_type"] == "metered")


def price_of(item: Json) -> int:
    """Return the price of a licensed item for a whole period, in cents."""
    return amounts.charge(item["price"]["unit_amount_decimal"], item["quantity"])


def for_period(world: StripeWorld, subscription: Json, item: Json, *, start: int, end: int) -> Json:
    """Build the line of a licensed item for a whole period."""
    text = f"{item['quantity']} x {_name(world, item)}"
    line = _line(world, subscription, item, description=text, amount=price_of(item), start=start, end=end)
    return line | {"quantity": item["quantity"], "quantity_decimal": str(item["quantity"])}


def for_part(world: StripeWorld, subscription: Json, item: Json, *, at: int, sign: int) -> Json:
    """Build the line of a licensed item from a moment to its period's end; sign -1 makes it a credit."""
    start, end = item["current_period_start"], item["current_period_end"]
    cents = sign * amounts.share(price_of(item), part_s=end - at, whole_s=end - start)
    text = f"{'Remaining' if sign > 0 else 'Unused'} time on {_name(world, item)}"
    line = _line(world, subscription, item, description=text, amount=cents, start=at, end=end)
    line["parent"] = {
        "invoice_item_details": {
            "invoice_item": world.new_id("ii"),
            "proration": True,
            "proration_details": {"credited_items": None},
            "subscription": subscription["id"],
        },
        "subscription_item_details": None,
        "type": "invoice_item_details",
    }
    return line | {"quantity": item["quantity"], "quantity_decimal": str(item["quantity"])}


def for_usage(world: StripeWorld, subscription: Json, item: Json, *, start: int, end: int) -> Json:
    """Build the line of a metered item for a span. `measured` updates its quantity."""
    line = _line(world, subscription, item, description=_name(world, item), amount=0, start=start, end=end)
    line["_meter"] = item["price"]["recurring"]["meter"]
    line["_unit"] = item["price"]["unit_amount_decimal"]
    line["_customer"] = subscription["customer"]
    return with_usage(world, line)


def with_usage(world: StripeWorld, line: Json) -> Json:
    """Update a usage line with the meter's current sum, at least zero. Other lines stay unchanged."""
    if "_meter" not in line:
        return line
    meter = world.store.get("billing.meter", line["_meter"])
    period = line["period"]
    used = max(0, meters.total(world, line["_customer"], meter, start=period["start"], end=period["end"]))
    cents = amounts.charge(line["_unit"], used)
    return line | {"amount": cents, "subtotal": cents, "quantity": used, "quantity_decimal": str(used)}


def _line(
    world: StripeWorld, subscription: Json, item: Json, *, description: str, amount: int, start: int, end: int
) -> Json:
    price = item["price"]
    return {
        "id": world.new_id("il"),
        "object": "line_item",
        "amount": amount,
        "currency": "usd",
        "description": description,
        "discount_amounts": [],
        "discountable": True,
        "discounts": [],
        "invoice": None,
        "livemode": False,
        "metadata": {**subscription["metadata"]},
        "parent": {
            "invoice_item_details": None,
            "subscription_item_details": {
                "invoice_item": None,
                "proration": False,
                "proration_details": {"credited_items": None},
                "subscription": subscription["id"],
                "subscription_item": item["id"],
            },
            "type": "subscription_item_details",
        },
        "period": {"end": end, "start": start},
        "pretax_credit_amounts": [],
        "pricing": {
            "price_details": {"price": price["id"], "product": price["product"]},
            "type": "price_details",
            "unit_amount_decimal": price["unit_amount_decimal"],
        },
        "quantity": None,
        "quantity_decimal": None,
        "subtotal": amount,
        "subscription": subscription["id"],
        "taxes": [],
    }


def _name(world: StripeWorld, item: Json) -> str:
    price = item["price"]
    return str(price["nickname"] or world.store.get("product", price["product"])["name"])
