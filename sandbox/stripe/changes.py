"""Changes of a subscription's items, prorated to the second."""

from collections.abc import Sequence
from copy import deepcopy

from infra.local.stripe import cycle, invoices, lines
from infra.local.stripe.errors import declined, refuse
from infra.local.stripe.form import Params
from infra.local.stripe.items import check, items_of, listing, new_item, period_of, place
from infra.local.stripe.lines import is_metered
from infra.local.stripe.store import Json
from infra.local.stripe.world import World

BEHAVIOURS = ("create_prorations", "always_invoice", "none")
"""What becomes of prorations; the first is Stripe's default."""


def change_items(world: World, subscription: Json, wanted: Sequence[Json], *, at: int, behaviour: str) -> list[Json]:
    """Replace the items of a subscription, and give back what the change costs, line by line.

    An item of `wanted` that keeps id, price and quantity is left alone. What was used of a metered price until it
    goes is billed with the change, whatever the behaviour is.

    Args:
        world: the account.
        subscription: it is changed, and not yet written.
        wanted: all items from now on.
        at: the moment of the change.
        behaviour: one of `BEHAVIOURS`.
    """
    start, end = period_of(subscription)
    if not start <= at <= end:
        refuse("The proration date must be within the current period.", param="proration_date")
    check(wanted)
    kept = {_identity(item) for item in wanted} & {_identity(item) for item in items_of(subscription)}
    gone = [item for item in items_of(subscription) if _identity(item) not in kept]
    come = [item for item in wanted if _identity(item) not in kept]
    prorated = behaviour != "none" and subscription["status"] != "trialing"
    of: list[Json] = []
    for item in gone:
        if is_metered(item):
            of += [lines.for_usage(world, subscription, item, start=item["_usage_from"], end=at)]
        elif prorated:
            of += [lines.for_part(world, subscription, item, at=at, sign=-1)]
    place(come, subscription=subscription["id"], start=start, end=end)
    for item in come:
        if is_metered(item):
            item["_usage_from"] = at
        elif prorated:
            of += [lines.for_part(world, subscription, item, at=at, sign=1)]
    subscription["items"] = listing(subscription["id"], wanted)
    return [line for line in of if line["amount"] or "_meter" in line]


def bill(world: World, subscription: Json, of: list[Json], *, at: int, behaviour: str, payment: str) -> None:
    """Bill a change at once, or with the next invoice.

    Raises:
        StripeError: the payment failed, and the change was to be made only if it does not.
    """
    if behaviour != "always_invoice":
        subscription["_pending"] = [*subscription.get("_pending", []), *of]
        return
    of = [line for line in of if line["amount"] or line["quantity"]]
    if not of:
        return
    made = invoices.draft(world, subscription, reason="subscription_update", of=of, period=(at, at), grace_s=0)
    final = invoices.finalise(world, made)
    paid = invoices.attempt(world, final)
    if not paid and payment == "error_if_incomplete":
        raise declined()
    if not paid and subscription["status"] == "active":
        subscription["status"] = "past_due"


def wanted_items(world: World, subscription: Json, given: Sequence[Params]) -> list[Json]:
    """The items that a subscription has after a request: items without an id are added, others changed or deleted."""
    wanted = {item["id"]: deepcopy(item) for item in items_of(subscription)}
    for one in given:
        name, price, quantity = one.text("id"), one.text("price"), one.integer("quantity")
        deleted, metadata = one.boolean("deleted"), one.free("metadata")
        one.boolean("clear_usage")  # means nothing for prices with a meter
        if name is not None and name not in wanted:
            refuse(f"No such subscription_item: '{name}'", param="items", code="resource_missing")
        if name is None:
            made = new_item(world, price or "", quantity, metadata)
            wanted[made["id"]] = made
        elif deleted:
            del wanted[name]
        else:
            wanted[name] = _changed(world, wanted[name], price=price, quantity=quantity, metadata=metadata)
    if not wanted:
        refuse("A subscription must have at least one item.", param="items")
    return list(wanted.values())


def end_trial(world: World, subscription: Json) -> None:
    """End a trial now: the first paid period begins."""
    now = world.now_for(subscription["customer"])
    items = items_of(subscription)
    place(items, subscription=subscription["id"], start=period_of(subscription)[0], end=now)
    subscription |= {"trial_end": now, "billing_cycle_anchor": now}
    cycle.renew(world, subscription)


def _changed(world: World, item: Json, *, price: str | None, quantity: int | None, metadata: Json) -> Json:
    if price in (None, item["price"]["id"]):
        changed: Json = item if quantity is None else item | {"quantity": quantity}
    else:
        keeps = quantity if quantity is not None else item.get("quantity")
        made = new_item(world, price, None if _has_meter(world, price) else keeps)
        changed = made | {"id": item["id"], "created": item["created"], "metadata": item["metadata"]}
    return changed | {"metadata": {**changed["metadata"], **metadata}}


def _has_meter(world: World, price: str) -> bool:
    recurring: Json | None = world.store.get("price", price)["recurring"]
    return recurring is not None and recurring["meter"] is not None


def _identity(item: Json) -> tuple[str, str, int | None]:
    return item["id"], item["price"]["id"], item.get("quantity")
