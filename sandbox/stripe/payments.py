"""Payments of invoices, their refunds by credit note, and disputes."""

from sandbox.stripe.errors import StripeError, refuse
from sandbox.stripe.rendering import render
from sandbox.stripe.routes import Routes, StripeCall, list_page, matching
from sandbox.stripe.store import Json
from sandbox.stripe.world import DAY_S, StripeWorld

routes = Routes()

REASONS = ("duplicate", "fraudulent", "order_change", "product_unsatisfactory")


@routes.get("/v1/payment_intents/{intent}")
def get_intent(call: StripeCall) -> Json:
    """Return a payment intent."""
    return render(call.world.store.get("payment_intent", call.path["intent"]))


@routes.get("/v1/charges/{charge}")
def get_charge(call: StripeCall) -> Json:
    """Return a charge."""
    return render(call.world.store.get("charge", call.path["charge"]))


@routes.get("/v1/credit_notes")
def list_credit_notes(call: StripeCall) -> Json:
    """List all credit notes, or those of a customer or an invoice."""
    params = call.params
    found = call.world.store.all("credit_note", customer=params.text("customer"))
    return list_page(call, matching(found, invoice=params.text("invoice")), url="/v1/credit_notes")


@routes.post("/v1/credit_notes")
def create_credit_note(call: StripeCall) -> Json:
    """Refund a part of a paid invoice."""
    world, params = call.world, call.params
    invoice = world.store.get("invoice", params.required("invoice"))
    amount, refunded = params.integer("amount"), params.integer("refund_amount")
    reason = params.choice("reason", *REASONS)
    if invoice["status"] != "paid":
        refuse("This Stripe credits paid invoices alone.", param="invoice")
    if amount is None or amount != refunded:
        refuse("The sum of refund_amount must equal the credit note's amount.", param="refund_amount")
    if not 0 < amount <= invoice["amount_paid"] - invoice["post_payment_credit_notes_amount"]:
        refuse("The credit note's amount exceeds the rest of the invoice.", param="amount")
    note = _credit_note(world, invoice, amount=amount, reason=reason)
    before = {**invoice}
    invoice["post_payment_credit_notes_amount"] += amount
    world.emit("credit_note.created", world.store.put(note))
    world.update(invoice, "invoice.updated", before=before)
    return render(note)


def dispute(world: StripeWorld, invoice: Json) -> Json:
    """Open a dispute of an invoice's payment.

    Raises:
        StripeError: the invoice was not paid.
    """
    if not invoice["amount_paid"]:
        refuse("This invoice has no payment.", param="invoice")
    charge = payment_of(world, invoice)
    payment: Json = {
        "id": world.new_id("du"),
        "object": "dispute",
        "amount": charge["amount"],
        "balance_transactions": [],
        "charge": charge["id"],
        "created": world.now_for(invoice["customer"]),
        "currency": "usd",
        "enhanced_eligibility_types": [],
        "evidence": {"enhanced_evidence": {}},
        "evidence_details": {
            "due_by": world.now_for(invoice["customer"]) + 7 * DAY_S,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
        },
        "is_charge_refundable": False,
        "livemode": False,
        "metadata": {},
        "payment_intent": charge["payment_intent"],
        "reason": "fraudulent",
        "status": "needs_response",
    }
    world.emit("charge.dispute.created", world.store.put(payment))
    return payment


def payment_of(world: StripeWorld, invoice: Json) -> Json:
    """Return the charge of a paid invoice. The charge and its payment intent are created on first use."""
    charge_id = f"ch_{invoice['id'].removeprefix('in_')}"
    found = world.store.find(charge_id)
    if found:
        return found
    intent_id = f"pi_{invoice['id'].removeprefix('in_')}"
    usual: Json = {
        "amount": invoice["amount_paid"],
        "created": invoice["created"],
        "currency": "usd",
        "customer": invoice["customer"],
        "description": None,
        "livemode": False,
        "metadata": {},
    }
    intent: Json = {
        **usual,
        "id": intent_id,
        "object": "payment_intent",
        "amount_received": invoice["amount_paid"],
        "latest_charge": charge_id,
        "status": "succeeded",
    }
    charge: Json = {
        **usual,
        "id": charge_id,
        "object": "charge",
        "amount_captured": invoice["amount_paid"],
        "amount_refunded": 0,
        "billing_details": dict.fromkeys(("address", "email", "name", "phone", "tax_id")),
        "captured": True,
        "disputed": False,
        "paid": True,
        "payment_intent": intent_id,
        "refunded": False,
        "status": "succeeded",
    }
    world.store.put(intent)
    return world.store.put(charge)


def _refund(world: StripeWorld, invoice: Json, *, amount: int) -> Json:
    charge = payment_of(world, invoice)
    if amount > charge["amount"] - charge["amount_refunded"]:
        raise StripeError(400, "Refund amount is over the unrefunded amount.", "charge_already_refunded", "amount")
    charge["amount_refunded"] += amount
    charge["refunded"] = charge["amount_refunded"] == charge["amount"]
    world.emit("charge.refunded", world.store.put(charge))
    return world.store.put(
        {
            "id": world.new_id("re"),
            "object": "refund",
            "amount": amount,
            "charge": charge["id"],
            "created": world.now_for(invoice["customer"]),
            "currency": "usd",
            "customer": invoice["customer"],
            "metadata": {},
            "payment_intent": charge["payment_intent"],
            "reason": None,
            "status": "succeeded",
        }
    )


def _credit_note(world: StripeWorld, invoice: Json, *, amount: int, reason: str) -> Json:
    name = world.new_id("cn")
    refund = _refund(world, invoice, amount=amount)
    url = f"/v1/credit_notes/{name}/lines"
    return {
        "id": name,
        "object": "credit_note",
        "amount": amount,
        "amount_shipping": 0,
        "created": world.now_for(invoice["customer"]),
        "currency": "usd",
        "customer": invoice["customer"],
        "customer_balance_transaction": None,
        "discount_amount": 0,
        "discount_amounts": [],
        "invoice": invoice["id"],
        "lines": {"object": "list", "data": [], "has_more": False, "url": url},
        "livemode": False,
        "memo": None,
        "metadata": {},
        "number": f"{invoice['number']}-CN-{name[-4:]}",
        "out_of_band_amount": None,
        "pdf": f"{invoice['_url']}?credit_note",
        "post_payment_amount": amount,
        "pre_payment_amount": 0,
        "pretax_credit_amounts": [],
        "reason": reason,
        "refunds": [
            {"amount_refunded": amount, "payment_record_refund": None, "refund": refund["id"], "type": "refund"}
        ],
        "status": "issued",
        "subtotal": amount,
        "total": amount,
        "type": "post_payment",
    }
