"""The gateway to Stripe's invoices."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Protocol

from services.billing.catalog.gateway import plan_and_item_of
from services.billing.customers.domain.period import BillingPeriod
from services.billing.invoices.domain import Invoice, InvoiceLine
from services.billing.stripe_api.gateway.client import translate_errors
from services.billing.stripe_api.gateway.objects import Json, StripeGateway, from_epoch, nested, read_or_none, to_dict
from shared.plans import Plan

if TYPE_CHECKING:
    from stripe import StripeClient

MAX_LINES = 250
"""Maximum number of lines of an invoice that are stored: some 100 KB, of the 400 KB that an item may have."""
_DESCRIPTION_CHARS = 200


class InvoiceGateway(Protocol):
    """Invoices at Stripe. For the errors of all methods see `CustomerGateway`."""

    def read_invoice(self, invoice_id: str) -> Invoice | None:
        """Return an invoice with all its lines, or None if it does not exist."""
        ...


class StripeInvoiceGateway(StripeGateway):
    """See `InvoiceGateway`."""

    def __init__(self, client: "StripeClient") -> None:
        super().__init__(client)
        self._plans_and_items: dict[str, tuple[Plan, str]] = {}
        """Our prices by id."""

    def read_invoice(self, invoice_id: str) -> Invoice | None:
        """See `InvoiceGateway.read_invoice`."""
        payload = read_or_none(lambda: self._client.invoices.retrieve(invoice_id))
        if payload is None:
            # A deleted draft.
            return None
        with translate_errors():
            listed = self._client.invoices.line_items.list(invoice_id, {"limit": 100}).auto_paging_iter()
            lines = [to_dict(line) for line in islice(listed, MAX_LINES + 1)]
            self._cache_prices(lines)
        return to_invoice(payload, lines=lines, plans_and_items=self._plans_and_items)

    def _cache_prices(self, lines: Sequence[Json]) -> None:
        """Cache the plans and items of new prices in these lines. A price never changes its plan or item."""
        for price_id in {price_of_line(line) for line in lines} - set(self._plans_and_items) - {None}:
            plan_and_item = plan_and_item_of(to_dict(self._client.prices.retrieve(price_id)))
            if plan_and_item and price_id:
                self._plans_and_items[price_id] = plan_and_item


def to_invoice(payload: Json, *, lines: Sequence[Json], plans_and_items: Mapping[str, tuple[Plan, str]]) -> Invoice:
    """Return an invoice. The lines over `MAX_LINES` are added up to one more line, so that the sum is correct.

    `lines` contains at most one line more than `MAX_LINES`. `plans_and_items` contains the plan and item of our prices
    by price id.
    """
    stored = [_line_of(line, plans_and_items) for line in lines[:MAX_LINES]]
    if len(lines) > MAX_LINES:
        stored.append(_rest_of(payload, stored))
    return Invoice(
        invoice_id=str(payload["id"]),
        number=payload.get("number"),
        status=payload.get("status") or "draft",
        currency=str(payload["currency"]),
        amount_cents=int(payload["amount_due"]),
        attempts=int(payload["attempt_count"]),
        period=BillingPeriod(from_epoch(payload["period_start"]), from_epoch(payload["period_end"])),
        created_at=from_epoch(payload["created"]),
        hosted_url=payload.get("hosted_invoice_url"),
        lines=tuple(stored),
        credited_cents=int(payload["post_payment_credit_notes_amount"]),
    )


def _rest_of(payload: Json, stored: Iterable[InvoiceLine]) -> InvoiceLine:
    amount = int(payload["subtotal"]) - sum(line.amount_cents for line in stored)
    period = BillingPeriod(from_epoch(payload["period_start"]), from_epoch(payload["period_end"]))
    return InvoiceLine("rest", "other", "All further lines", None, amount, period, proration=False)


def _line_of(payload: Json, plans_and_items: Mapping[str, tuple[Plan, str]]) -> InvoiceLine:
    _, item = plans_and_items.get(price_of_line(payload) or "", (None, "other"))
    return InvoiceLine(
        line_id=str(payload["id"]),
        item=item,
        description=(payload.get("description") or "")[:_DESCRIPTION_CHARS],
        quantity=payload.get("quantity"),
        amount_cents=int(payload["amount"]),
        period=BillingPeriod(from_epoch(payload["period"]["start"]), from_epoch(payload["period"]["end"])),
        proration=_is_proration(nested(payload, "parent")),
    )


def price_of_line(payload: Json) -> str | None:
    """Return the id of the price of a line."""
    details = nested(nested(payload, "pricing"), "price_details")
    price = nested(details, "price").get("id") or details.get("price")
    return str(price) if price else None


def _is_proration(parent: Json) -> bool:
    kinds = ("subscription_item_details", "invoice_item_details")
    return any(bool(nested(parent, kind).get("proration")) for kind in kinds)
