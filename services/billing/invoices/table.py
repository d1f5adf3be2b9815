"""Invoices as last read from Stripe. A tenant has a few dozen, so they are read together."""

from services.billing.errors import InvoiceChanged, InvoiceNotFound
from services.billing.invoices.domain import Invoice, InvoiceLine
from services.billing.partitions import INVOICES
from shared.events.billing import InvoiceEvent
from shared.events.envelope import Event
from shared.storage.codec import Codec
from shared.storage.store import Store
from shared.storage.table import TenantTable
from shared.storage.transaction import Expression, refuse_with

_LINES = Codec(InvoiceLine, flat={"period": "period_"})


class InvoiceTable(TenantTable[Invoice]):
    """The invoices of one tenant."""

    prefix, id_field = "", "invoice_id"
    codec = Codec(
        Invoice, flat={"period": "period_"}, given=("invoice_id",), conversions={InvoiceLine: _LINES.conversion}
    )
    not_found = InvoiceNotFound

    def __init__(self, store: Store, tenant_id: str) -> None:
        super().__init__(store, tenant_id, INVOICES)

    def newest_first(self) -> list[Invoice]:
        """Return all invoices, newest first."""
        return sorted(self.all(), key=lambda invoice: (invoice.created_at, invoice.invoice_id), reverse=True)

    def save(self, invoice: Invoice, *events: Event[InvoiceEvent]) -> None:
        """Replace the preceding revision of an invoice, and publish the events.

        Raises:
            InvoiceChanged: the invoice changed after it was read.
        """
        before = Expression("attribute_not_exists(PK) OR #rev = :before", {"before": invoice.rev - 1})
        transaction = self.transaction()
        transaction.put(self.item(invoice), when=before, otherwise=refuse_with(InvoiceChanged()))
        transaction.emit(*events)
        self.store.commit(transaction)
