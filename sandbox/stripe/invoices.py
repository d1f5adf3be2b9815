"""Invoices: draft, open, paid, void or uncollectible."""

from copy import deepcopy

from sandbox.stripe import lines
from sandbox.stripe.customers import fails_when_charged
from sandbox.stripe.errors import StripeError, declined, refuse
from sandbox.stripe.store import Json
from sandbox.stripe.world import DAY_S, StripeWorld

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
"""The fields that every draft has in common."""


def draft(
    world: StripeWorld, subscription: Json, *, reason: str, of: list[Json], period: tuple[int, int], grace_s: int
) -> Json:
    """Create a draft invoice and publish its event.

    Args:
        world: the account.
        subscription: that it bills.
        reason: Stripe's `billing_reason`.
        of: its lines.
        period: of which it bills the usage.
        grace_s: how long it stays open for more usage.
    """
    invoice = build(world, subscription, reason=reason, of=of, period=period)
    invoice["auto_advance"] = subscription["status"] not in {"unpaid", "paused"}
    invoice["automatically_finalizes_at"] = invoice["created"] + grace_s if invoice["auto_advance"] else None
    world.store.put(invoice)
    subscription["latest_invoice"] = invoice["id"]
    world.store.put(subscription)
    world.emit("invoice.created", invoice)
    return invoice


def build(world: StripeWorld, subscription: Json, *, reason: str, of: list[Json], period: tuple[int, int]) -> Json:
    """Build an invoice with these lines, without saving it."""
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
    return with_totals(world, invoice)


def with_totals(world: StripeWorld, invoice: Json) -> Json:
    """Return an invoice with its current usage and totals. A final invoice never changes."""
    if invoice["status"] != "draft":
        return invoice
    invoice["_lines"] = [lines.with_usage(world, line) for line in invoice["_lines"]]
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


def finalize(world: StripeWorld, invoice: Json) -> Json:
    """Finalize an invoice: fix its usage at the meters' current sums and assign its number."""
    if invoice["status"] != "draft":
        raise StripeError(400, "This invoice is already finalized.", "invoice_not_editable")
    invoice = with_totals(world, invoice)
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


def attempt(world: StripeWorld, invoice: Json, *, card: Json | None = None) -> bool:
    """Try to charge the amount due and publish the result. The subscription stays unchanged.

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


def fail(world: StripeWorld, invoice: Json) -> None:
    """Record a failed payment and the time of the next attempt."""
    days: list[int] = world.setting("retry_days")
    attempts = int(invoice["attempt_count"])
    following = world.now_for(invoice["customer"]) + days[attempts] * DAY_S if attempts < len(days) else None
    if invoice["billing_reason"] == "subscription_create":
        following = None  # the first payment is the customer's to make
    invoice |= {"attempt_count": attempts + 1, "attempted": True, "next_payment_attempt": following}
    world.emit("invoice.payment_failed", world.store.put(invoice))


def void(world: StripeWorld, invoice: Json, *, status: str = "void") -> Json:
    """Close an open invoice as `void` or `uncollectible`."""
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


def card_of(world: StripeWorld, invoice: Json) -> Json | None:
    """Return the card that pays an invoice: the subscription's, else the customer's."""
    details = invoice["parent"]["subscription_details"]
    subscription = world.store.get("subscription", details["subscription"])
    customer = world.store.get("customer", invoice["customer"])
    name = subscription["default_payment_method"] or customer["invoice_settings"]["default_payment_method"]
    return world.store.find(name) if name else None


def refuse_decline(world: StripeWorld) -> None:
    """Accept a payment, unless the next payments are configured to be declined.

    Raises:
        StripeError: they are.
    """
    left = int(world.setting("decline_payments"))
    if left:
        world.set("decline_payments", left - 1 if left > 0 else left)
        raise declined()


def _charge(world: StripeWorld, invoice: Json, card: Json | None) -> bool:
    card = card or card_of(world, invoice)
    if card is None or fails_when_charged(card):
        return False
    try:
        refuse_decline(world)
    except StripeError:
        return False
    return True
