"""Invoices as Stripe had them when it was last asked. A tenant has a few dozen, so they are read together."""

from typing import cast

from services.billing.domain.cost import Period
from services.billing.domain.invoice import Invoice, InvoiceLine, InvoiceStatus
from services.billing.errors import InvoiceChanged
from services.billing.table import SLICE
from shared.events.billing import InvoiceEvent
from shared.events.envelope import Event
from shared.storage.items import Item, Key, Reader, Value
from shared.storage.store import Store
from shared.storage.transaction import Expression, Transaction, refuse_with
from shared.times import from_text, to_text


def find_invoice(store: Store, tenant_id: str, invoice_id: str) -> Invoice | None:
    """An invoice, or None."""
    item = store.get(_key(tenant_id, invoice_id))
    return _from_item(item) if item else None


def list_invoices(store: Store, tenant_id: str) -> list[Invoice]:
    """All invoices, the newest first."""
    condition = Expression("#PK = :pk", {"pk": SLICE.key(tenant_id, "INVOICES")})
    found = [_from_item(item) for item in store.query_all(condition)]
    return sorted(found, key=lambda invoice: (invoice.created_at, invoice.invoice_id), reverse=True)


def save_invoice(store: Store, tenant_id: str, invoice: Invoice, *events: Event[InvoiceEvent]) -> None:
    """Write an invoice over the one with the rev before.

    Raises:
        InvoiceChanged: somebody else has changed it since.
    """
    before = Expression("attribute_not_exists(PK) OR #rev = :before", {"before": invoice.rev - 1})
    transaction = Transaction(tenant_id)
    transaction.put(_to_item(tenant_id, invoice), when=before, otherwise=refuse_with(InvoiceChanged()))
    transaction.emit(*events)
    store.commit(transaction)


def _key(tenant_id: str, invoice_id: str) -> Key:
    return Key(SLICE.key(tenant_id, "INVOICES"), invoice_id)


def _to_item(tenant_id: str, invoice: Invoice) -> dict[str, Value]:
    return {
        **_key(tenant_id, invoice.invoice_id).attributes,
        "number": invoice.number,
        "status": invoice.status,
        "currency": invoice.currency,
        "amount_cents": invoice.amount_cents,
        "attempts": invoice.attempts,
        **_period_to_item(invoice.period),
        "created_at": to_text(invoice.created_at),
        "hosted_url": invoice.hosted_url,
        "credited_cents": invoice.credited_cents,
        "lines": [_line_to_item(line) for line in invoice.lines],
        "rev": invoice.rev,
    }


def _from_item(item: Item) -> Invoice:
    reader = Reader(item)
    return Invoice(
        invoice_id=reader.text("SK"),
        number=reader.optional_text("number"),
        status=cast("InvoiceStatus", reader.text("status")),
        currency=reader.text("currency"),
        amount_cents=reader.integer("amount_cents"),
        attempts=reader.integer("attempts"),
        period=_period(reader),
        created_at=from_text(reader.text("created_at")),
        hosted_url=reader.optional_text("hosted_url"),
        lines=tuple(_line_from_item(line) for line in reader.maps("lines")),
        credited_cents=reader.optional_integer("credited_cents") or 0,
        rev=reader.integer("rev"),
    )


def _line_to_item(line: InvoiceLine) -> dict[str, Value]:
    return {
        "line_id": line.line_id,
        "item": line.item,
        "description": line.description,
        "quantity": line.quantity,
        "amount_cents": line.amount_cents,
        **_period_to_item(line.period),
        "proration": line.proration,
    }


def _line_from_item(reader: Reader) -> InvoiceLine:
    return InvoiceLine(
        line_id=reader.text("line_id"),
        item=reader.text("item"),
        description=reader.text("description"),
        quantity=reader.optional_integer("quantity"),
        amount_cents=reader.integer("amount_cents"),
        period=_period(reader),
        proration=reader.flag("proration"),
    )


def _period_to_item(period: Period) -> dict[str, Value]:
    return {"period_start": to_text(period.start), "period_end": to_text(period.end)}


def _period(reader: Reader) -> Period:
    return Period(from_text(reader.text("period_start")), from_text(reader.text("period_end")))
