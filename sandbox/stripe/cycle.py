"""The life cycle of a subscription: start, payment, renewal, end."""

from collections.abc import Sequence
from copy import deepcopy

from sandbox.stripe import invoices, lines
from sandbox.stripe.items import assign_period, end_of_period, items_of, listing, period_of
from sandbox.stripe.lines import is_metered
from sandbox.stripe.store import Json
from sandbox.stripe.world import StripeWorld

FINAL = frozenset({"canceled", "incomplete_expired"})
_OWING = frozenset({"past_due", "unpaid", "incomplete"})
_UNCHANGING: Json = {
    "object": "subscription",
    "application": None,
    "application_fee_percent": None,
    "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
    "billing_cycle_anchor_config": None,
    "billing_mode": {"flexible": {"proration_discounts": "included"}, "type": "flexible"},
    "billing_schedules": [],
    "billing_thresholds": None,
    "cancel_at": None,
    "cancel_at_period_end": False,
    "canceled_at": None,
    "cancellation_details": {"comment": None, "feedback": None, "feedback_option": None, "reason": None},
    "collection_method": "charge_automatically",
    "currency": "usd",
    "days_until_due": None,
    "default_payment_method": None,
    "default_source": None,
    "default_tax_rates": [],
    "description": None,
    "discounts": [],
    "ended_at": None,
    "invoice_settings": {"account_tax_ids": None, "issuer": {"type": "self"}},
    "latest_invoice": None,
    "livemode": False,
    "next_pending_invoice_item_invoice": None,
    "on_behalf_of": None,
    "pause_collection": None,
    "payment_settings": {
        "payment_method_options": None,
        "payment_method_types": None,
        "save_default_payment_method": "off",
    },
    "pending_invoice_item_interval": None,
    "pending_setup_intent": None,
    "pending_update": None,
    "schedule": None,
    "transfer_data": None,
}
"""The fields that every new subscription has in common."""


def start(
    world: StripeWorld,
    customer: Json,
    items: Sequence[Json],
    *,
    metadata: Json,
    begin: int | None = None,
    trial_end: int | None = None,
    card: str | None = None,
    on_missing_card: str = "create_invoice",
) -> Json:
    """Create a subscription with its first invoice, which is paid at once if possible.

    Args:
        world: the account.
        customer: who subscribes.
        items: the items to subscribe to.
        metadata: of the subscription.
        begin: when its first period starts; None: now.
        trial_end: until when nothing is owed; None: no trial.
        card: that pays, instead of the customer's.
        on_missing_card: the behavior when a trial ends without a card.
    """
    now = world.now(customer) if begin is None else begin
    name = world.new_id("sub")
    anchor = now if trial_end is None else trial_end
    end = trial_end if trial_end is not None else end_of_period(items, anchor=anchor, start=now)
    assign_period(items, subscription=name, start=now, end=end)
    subscription = _fresh(name, customer, items, metadata=metadata, now=now, anchor=anchor)
    subscription |= {"default_payment_method": card, "trial_end": trial_end}
    subscription["trial_start"] = None if trial_end is None else now
    subscription["trial_settings"] = {"end_behavior": {"missing_payment_method": on_missing_card}}
    subscription["status"] = "incomplete" if trial_end is None else "trialing"
    world.emit("customer.subscription.created", world.store.put(subscription))
    if trial_end is None:
        _bill_first_period(world, subscription)
    return world.store.get("subscription", name)


def pay(world: StripeWorld, invoice: Json, *, card: Json | None = None) -> bool:
    """Try to charge an open invoice and update its subscription."""
    paid = invoices.attempt(world, invoice, card=card)
    settle(world, invoice)
    return paid


def settle(world: StripeWorld, invoice: Json) -> None:
    """Update a subscription's status after its invoice was paid or failed."""
    name = invoice["parent"]["subscription_details"]["subscription"]
    subscription = world.store.get("subscription", name)
    if subscription["status"] in FINAL:
        return
    set_status(world, subscription, _status_after(world, subscription, invoice))


def set_status(world: StripeWorld, subscription: Json, status: str) -> None:
    """Set a subscription's status and publish its event."""
    before = deepcopy(subscription)
    subscription["status"] = status
    world.update(subscription, "customer.subscription.updated", before=before)


def renew(world: StripeWorld, subscription: Json) -> None:
    """Begin the next period, and bill the usage of the previous one and the base price of the new one."""
    before = deepcopy(subscription)
    start, end = period_of(subscription)
    items = items_of(subscription)
    of = usage_lines(world, subscription, until=end)
    following = end_of_period(items, anchor=subscription["billing_cycle_anchor"], start=end)
    assign_period(items, subscription=subscription["id"], start=end, end=following)
    of += base_lines(world, subscription) + subscription.pop("_pending", [])
    if subscription["status"] == "trialing":
        subscription["status"] = "active"
    grace_s = int(world.setting("invoice_grace_s"))
    if of:
        invoices.draft(world, subscription, reason="subscription_cycle", of=of, period=(start, end), grace_s=grace_s)
    world.update(subscription, "customer.subscription.updated", before=before)


def end(world: StripeWorld, subscription: Json, *, at: int, with_invoice: bool = True, reason: str) -> Json:
    """End a subscription. Its usage so far is billed or discarded."""
    start, _ = period_of(subscription)
    of = usage_lines(world, subscription, until=at) + subscription.pop("_pending", [])
    grace_s = int(world.setting("invoice_grace_s"))
    if with_invoice and of:
        invoices.draft(world, subscription, reason="subscription_cycle", of=of, period=(start, at), grace_s=grace_s)
    subscription |= {
        "status": "canceled",
        "canceled_at": subscription["canceled_at"] or at,
        "ended_at": at,
        "cancellation_details": {**subscription["cancellation_details"], "reason": reason},
    }
    schedule = subscription["schedule"] and world.store.get("subscription_schedule", subscription["schedule"])
    if schedule:
        world.store.put({**schedule, "status": "canceled", "canceled_at": at, "current_phase": None})
    world.emit("customer.subscription.deleted", world.store.put(subscription))
    return subscription


def expire(world: StripeWorld, subscription: Json) -> None:
    """Expire a subscription whose first invoice was not paid within a day."""
    invoice = world.store.get("invoice", subscription["latest_invoice"])
    invoices.void(world, invoice)
    set_status(world, subscription, "incomplete_expired")


def base_lines(world: StripeWorld, subscription: Json) -> list[Json]:
    """Return the lines of the licensed items for the current period."""
    begin, finish = period_of(subscription)
    licensed = [item for item in items_of(subscription) if not is_metered(item)]
    return [lines.for_period(world, subscription, item, start=begin, end=finish) for item in licensed]


def usage_lines(world: StripeWorld, subscription: Json, *, until: int) -> list[Json]:
    """Return the lines of the metered items for the current period."""
    metered = [item for item in items_of(subscription) if is_metered(item) and item["_usage_from"] < until]
    return [lines.for_usage(world, subscription, item, start=item["_usage_from"], end=until) for item in metered]


def _bill_first_period(world: StripeWorld, subscription: Json) -> None:
    of = base_lines(world, subscription)
    if not of:
        set_status(world, subscription, "active")
        return
    start = subscription["start_date"]
    draft = invoices.draft(world, subscription, reason="subscription_create", of=of, period=(start, start), grace_s=0)
    pay(world, invoices.finalize(world, draft))


def _status_after(world: StripeWorld, subscription: Json, invoice: Json) -> str:
    status = str(subscription["status"])
    if invoice["status"] == "paid":
        others = world.store.all("invoice", customer=subscription["customer"])
        owed = [one for one in others if one["status"] == "open" and one["attempted"] and _bills(one, subscription)]
        return "active" if status in _OWING and not owed else status
    if invoice["billing_reason"] == "subscription_create":
        return "incomplete"
    if invoice["next_payment_attempt"] is None and invoice["status"] == "open":
        return str(world.setting("after_retries"))
    return "past_due" if status in {"active", "trialing"} else status


def _bills(invoice: Json, subscription: Json) -> bool:
    return bool(invoice["parent"]["subscription_details"]["subscription"] == subscription["id"])


def _fresh(name: str, customer: Json, items: Sequence[Json], *, metadata: Json, now: int, anchor: int) -> Json:
    return {
        **deepcopy(_UNCHANGING),
        "id": name,
        "billing_cycle_anchor": anchor,
        "created": now,
        "customer": customer["id"],
        "items": listing(name, items),
        "metadata": metadata,
        "start_date": now,
        "test_clock": customer["test_clock"],
    }
