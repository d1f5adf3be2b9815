"""Invoices: drafted, finalised, paid or not."""

from copy import deepcopy

from infra.local.stripe import lines
from infra.local.stripe.customers import fails_when_charged
from infra.local.stripe.errors import StripeError, declined, refuse
from infra.local.stripe.store import Json
from infra.local.stripe.world import DAY_S, World

_UNCHANGING: Json = {
    "object": "invoice",
    "account_country": "US",
    "account_name": "ainexus (local)",
    "amount_overpaid": 0,
    "amount_paid": 0,
    "amount_paid_off_stripe": 0,
    "amount_shipping": 0,
    "attempt_count": 0,
    "attempted": False,
    "auto_advance": False,
    "automatic_tax": {
        "disabled_reason": None,
        "enabled": False,
        "liability": None,
        "provider": None,
        "status": None,
    },
    "automatically_finalizes_at": None,
    "collection_method": "charge_automatically",
    "currency": "usd",
    "default_payment_method": None,
    "default_tax_rates": [],
    "description": None,
    "discounts": [],
    "due_date": None,
    "effective_at": None,
    "hosted_invoice_url": None,
    "invoice_pdf": None,
    "issuer": {"type": "self"},
    "livemode": False,
    "metadata": {},
    "next_payment_attempt": None,
    "number": None,
    "payment_settings": {"default_mandate": None, "payment_method_options": None, "payment_method_types": None},
    "post_payment_credit_notes_amount": 0,
    "pre_payment_credit_notes_amount": 0,
    "status": "draft",
    "status_transitions": dict.fromkeys(("finalized_at", "marked_uncollectible_at", "paid_at", "voided_at")),
    "total_discount_amounts": [],
    "total_taxes": [],
}
"""What is the same in every draft."""


def draft(
    world: World, subscription: Json, *, reason: str, of: list[Json], period: tuple[int, int], grace_s: int
) -> Json:
    """An invoice that is not yet final, announced.

    Args:
        world: the account.
        subscription: that it bills.
        reason: Stripe's `billing_reason`.
        of: its lines.
        period: of which it bills the usage.
        grace_s: how long it stays open for more usage.
    """
    invoice = unsaved(world, subscription, reason=reason, of=of, period=period)
    invoice["auto_advance"] = subscription["status"] not in {"unpaid", "paused"}
    invoice["automatically_finalizes_at"] = invoice["created"] + grace_s if invoice["auto_advance"] else None
    world.store.put(invoice)
    subscription["latest_invoice"] = invoice["id"]
    world.store.put(subscription)
    world.emit("invoice.created", invoice)
    return invoice


def unsaved(world: World, subscription: Json, *, reason: str, of: list[Json], period: tuple[int, int]) -> Json:
    """An invoice with these lines that is nowhere written down."""
    customer = world.store.get("customer", subscription["customer"])
    name = world.new_id("in")
    invoice: Json = {
        **deepcopy(_UNCHANGING),
        "id": name,
        "_lines": [{**line, "invoice": name} for line in of],
        "_url": f"{world.base_url}/_pages/invoices/{name}",
        "billing_reason": reason,
        "created": world.now(customer),
        "customer": customer["id"],
        "customer_email": customer["email"],
        "customer_name": customer["name"],
        "parent": {
            "quote_details": None,
            "subscription_details": {
                "metadata": {**subscription["metadata"]},
                "subscription": subscription["id"],
            },
            "type": "subscription_details",
        },
        "period_end": period[1],
        "period_start": period[0],
        "test_clock": customer["test_clock"],
    }
    return summed(world, invoice)


def summed(world: World, invoice: Json) -> Json:
    """An invoice with its usage and its totals as they are now; of a final one nothing changes."""
    if invoice["status"] != "draft":
        return invoice
    invoice["_lines"] = [lines.measured(world, line) for line in invoice["_lines"]]
    balance = int(world.store.get("customer", invoice["customer"]).get("balance", 0))
    total = sum(line["amount"] for line in invoice["_lines"])
    due = max(0, total + balance)
    return invoice | {
        "amount_due": due,
        "amount_remaining": due,
        "ending_balance": None,
        "starting_balance": balance,
        "subtotal": total,
        "subtotal_excluding_tax": total,
        "total": total,
        "total_excluding_tax": total,
    }


def finalise(world: World, invoice: Json) -> Json:
    """Let an invoice be final: its usage is what the meters say now, and its number is given."""
    if invoice["status"] != "draft":
        raise StripeError(400, "This invoice is already finalized.", "invoice_not_editable")
    invoice = summed(world, invoice)
    customer = world.store.get("customer", invoice["customer"])
    now = world.now(customer)
    balance = invoice["starting_balance"] + invoice["total"] - invoice["amount_due"]
    count = customer["_numbered"] + 1
    world.update({**customer, "balance": balance, "_numbered": count}, "customer.updated", before=customer)
    invoice |= {
        "automatically_finalizes_at": None,
        "effective_at": now,
        "ending_balance": balance,
        "hosted_invoice_url": invoice["_url"],
        "invoice_pdf": f"{invoice['_url']}?pdf",
        "next_payment_attempt": None,
        "number": f"{customer['invoice_prefix']}-{count:04d}",
        "status": "open",
    }
    invoice["status_transitions"] |= {"finalized_at": now}
    world.emit("invoice.finalized", world.store.put(invoice))
    return invoice


def attempt(world: World, invoice: Json, *, card: Json | None = None) -> bool:
    """Try to charge what is due, and announce how it went; the subscription is left to its owner.

    Args:
        world: the account.
        invoice: an open one; it is changed.
        card: instead of the customer's own.
    """
    now = world.now_for(invoice["customer"])
    if invoice["amount_due"] == 0 or _charge(world, invoice, card):
        invoice |= {
            "amount_paid": invoice["amount_due"],
            "amount_remaining": 0,
            "attempt_count": invoice["attempt_count"] + bool(invoice["amount_due"]),
            "attempted": True,
            "auto_advance": False,
            "next_payment_attempt": None,
            "status": "paid",
        }
        invoice["status_transitions"] |= {"paid_at": now}
        world.store.put(invoice)
        world.emit("invoice.paid", invoice)
        world.emit("invoice.payment_succeeded", invoice)
        return True
    fail(world, invoice)
    return False


def fail(world: World, invoice: Json) -> None:
    """Note a payment that failed, and when the next one is."""
    days: list[int] = world.setting("retry_days")
    made = int(invoice["attempt_count"])
    following = world.now_for(invoice["customer"]) + days[made] * DAY_S if made < len(days) else None
    if invoice["billing_reason"] == "subscription_create":
        following = None  # the first payment is the customer's to make
    invoice |= {"attempt_count": made + 1, "attempted": True, "next_payment_attempt": following}
    world.emit("invoice.payment_failed", world.store.put(invoice))


def void(world: World, invoice: Json, *, status: str = "void") -> Json:
    """Give up an open invoice: `void`, or `uncollectible`."""
    if invoice["status"] not in {"open", "uncollectible"}:
        refuse("You can only do this with an open invoice.", code="invoice_not_editable")
    stamp, kind = {
        "void": ("voided_at", "invoice.voided"),
        "uncollectible": ("marked_uncollectible_at", "invoice.marked_uncollectible"),
    }[status]
    before = deepcopy(invoice)
    invoice |= {"status": status, "auto_advance": False, "next_payment_attempt": None}
    invoice["status_transitions"] |= {stamp: world.now_for(invoice["customer"])}
    return world.update(invoice, kind, before=before)


def card_of(world: World, invoice: Json) -> Json | None:
    """The card that pays an invoice: the subscription's, else the customer's."""
    details = invoice["parent"]["subscription_details"]
    subscription = world.store.get("subscription", details["subscription"])
    customer = world.store.get("customer", invoice["customer"])
    name = subscription["default_payment_method"] or customer["invoice_settings"]["default_payment_method"]
    return world.store.find(name) if name else None


def refuse_decline(world: World) -> None:
    """Let a payment pass, unless the next ones are to be declined.

    Raises:
        StripeError: they are.
    """
    left = int(world.setting("decline_payments"))
    if left:
        world.set("decline_payments", left - 1 if left > 0 else left)
        raise declined()


def _charge(world: World, invoice: Json, card: Json | None) -> bool:
    card = card or card_of(world, invoice)
    if card is None or fails_when_charged(card):
        return False
    try:
        refuse_decline(world)
    except StripeError:
        return False
    return True
