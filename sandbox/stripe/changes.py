"""Changes of a subscription's items, prorated to the second."""

from collections.abc import Sequence
from copy import deepcopy

from sandbox.stripe import cycle, invoices, lines
from sandbox.stripe.errors import declined, refuse
from sandbox.stripe.form import Params
from sandbox.stripe.items import assign_period, check, items_of, listing, new_item, period_of
from sandbox.stripe.lines import is_metered
from sandbox.stripe.store import Json
from sandbox.stripe.world import StripeWorld

BEHAVIORS = ("create_prorations", "always_invoice", "none")
"""The ways to bill prorations. The first is Stripe's default."""


def change_items(
    world: StripeWorld, subscription: Json, new_items: Sequence[Json], *, at: int, behavior: str
) -> list[Json]:
    """Replace the items of a subscription and return the invoice lines of the change.

    An item of `new_items` with an unchanged id, price and quantity stays as it is. The usage of a removed metered price
    is billed with the change for every `behavior`.

    Args:
        world: the account.
        subscription: changed in place, but not saved.
        new_items: all items from now on.
        at: the moment of the change.
        behavior: one of `BEHAVIORS`.
    """
    start, end = period_of(subscription)
    if not start <= at <= end:
        refuse("The proration date must be within the current period.", param="proration_date")
    check(new_items)
    unchanged = {_identity(item) for item in new_items} & {_identity(item) for item in items_of(subscription)}
    removed = [item for item in items_of(subscription) if _identity(item) not in unchanged]
    added = [item for item in new_items if _identity(item) not in unchanged]
    prorated = behavior != "none" and subscription["status"] != "trialing"
    of: list[Json] = []
    for item in removed:
        if is_metered(item):
            of += [lines.for_usage(world, subscription, item, start=item["_usage_from"], end=at)]
        elif prorated:
            of += [lines.for_part(world, subscription, item, at=at, sign=-1)]
    assign_period(added, subscription=subscription["id"], start=start, end=end)
    for item in added:
        if is_metered(item):
            item["_usage_from"] = at
        elif prorated:
            of += [lines.for_part(world, subscription, item, at=at, sign=1)]
    subscription["items"] = listing(subscription["id"], new_items)
    return [line for line in of if line["amount"] or "_meter" in line]


def bill(world: StripeWorld, subscription: Json, of: list[Json], *, at: int, behavior: str, payment: str) -> None:
    """Bill a change at once or with the next invoice.

    Raises:
        StripeError: the payment failed, and the change depends on it.
    """
    if behavior != "always_invoice":
        subscription["_pending"] = [*subscription.get("_pending", []), *of]
        return
    of = [line for line in of if line["amount"] or line["quantity"]]
    if not of:
        return
    made = invoices.draft(world, subscription, reason="subscription_update", of=of, period=(at, at), grace_s=0)
    final = invoices.finalize(world, made)
    paid = invoices.attempt(world, final)
    if not paid and payment == "error_if_incomplete":
        raise declined()
    if not paid and subscription["status"] == "active":
        subscription["status"] = "past_due"


def apply_changes(world: StripeWorld, subscription: Json, requests: Sequence[Params]) -> list[Json]:
    """Apply a request to a subscription's items: items without an id are added, others changed or deleted."""
    new_items = {item["id"]: deepcopy(item) for item in items_of(subscription)}
    for one in requests:
        name, price, quantity = one.text("id"), one.text("price"), one.integer("quantity")
        deleted, metadata = one.boolean("deleted"), one.free("metadata")
        one.boolean("clear_usage")  # means nothing for prices with a meter
        if name is not None and name not in new_items:
            refuse(f"No such subscription_item: '{name}'", param="items", code="resource_missing")
        if name is None:
            made = new_item(world, price or "", quantity, metadata)
            new_items[made["id"]] = made
        elif deleted:
            del new_items[name]
        else:
            new_items[name] = _changed(world, new_items[name], price=price, quantity=quantity, metadata=metadata)
    if not new_items:
        refuse("A subscription must have at least one item.", param="items")
    return list(new_items.values())


def end_trial(world: StripeWorld, subscription: Json) -> None:
    """End a trial now: the first paid period begins."""
    now = world.now_for(subscription["customer"])
    items = items_of(subscription)
    assign_period(items, subscription=subscription["id"], start=period_of(subscription)[0], end=now)
    subscription |= {"trial_end": now, "billing_cycle_anchor": now}
    cycle.renew(world, subscription)


def _changed(world: StripeWorld, item: Json, *, price: str | None, quantity: int | None, metadata: Json) -> Json:
    if price in (None, item["price"]["id"]):
        changed: Json = item if quantity is None else item | {"quantity": quantity}
    else:
        kept_quantity = quantity if quantity is not None else item.get("quantity")
        made = new_item(world, price, None if _has_meter(world, price) else kept_quantity)
        changed = made | {"id": item["id"], "created": item["created"], "metadata": item["metadata"]}
    return changed | {"metadata": {**changed["metadata"], **metadata}}


def _has_meter(world: StripeWorld, price: str) -> bool:
    recurring: Json | None = world.store.get("price", price)["recurring"]
    return recurring is not None and recurring["meter"] is not None


def _identity(item: Json) -> tuple[str, str, int | None]:
    return item["id"], item["price"]["id"], item.get("quantity")
