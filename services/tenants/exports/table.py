"""Storage of exports."""

from services.tenants.errors import ExportNotFound
from services.tenants.exports.domain import Export, ServicePart
from services.tenants.partitions import SLICE
from services.tenants.tenants.table.counts import TenantCounts
from shared.document_ref import DocumentRef
from shared.events.envelope import Event
from shared.events.tenants import TenantExportRequested
from shared.storage.codec import Codec
from shared.storage.idempotency import IdempotencyKey
from shared.storage.table import TenantTable
from shared.storage.transaction import PRESENT, Expression

_PARTS = Codec(ServicePart, names={"finished_at": "said_at"}, flat={"index": "index_"})


class ExportTable(TenantTable[Export]):
    """The exports of one tenant."""

    prefix, id_field = "EXPORT#", "export_id"
    codec = Codec(
        Export,
        names={"parts": "shares"},
        flat={"manifest": "manifest_"},
        given=("tenant_id",),
        conversions={ServicePart: _PARTS.conversion},
    )
    not_found = ExportNotFound

    def create(
        self, export: Export, payload: Event[TenantExportRequested], *, idempotency_key: IdempotencyKey | None
    ) -> None:
        """Write a new export.

        Raises:
            TenantNotFound: the tenant was deleted meanwhile.
            AlreadyDone: an earlier attempt of this request has succeeded.
        """
        transaction = self.transaction()
        if idempotency_key:
            idempotency_key.remember(transaction, SLICE, resource_id=export.export_id)
        TenantCounts(self.store, self.tenant_id).require_tenant(transaction)
        self.add(transaction, export)
        transaction.emit(payload)
        self.store.commit(transaction)

    def save_part(self, export_id: str, service: str, part: ServicePart) -> Export | None:
        """Store the part of a service. Return the export, or None if it was deleted."""
        change = Expression(f"SET #shares.#{service} = :share", {"share": _PARTS.encode(part)})
        return self.update(export_id, change, when=PRESENT)

    def save_manifest(self, export_id: str, manifest: DocumentRef) -> bool:
        """Store the reference of the manifest. Return False if the export was deleted."""
        return self.update(export_id, self.setting(manifest=manifest), when=PRESENT) is not None
