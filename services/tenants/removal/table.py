"""Storage of certificates of deletion, and of the tombstones that remain of tenants."""

from datetime import datetime

from services.tenants.errors import TenantChangedMeanwhile, TenantNotFound
from services.tenants.removal.domain import Certificate, RemovalCounts
from services.tenants.tenants.domain.tenant import Tenant
from services.tenants.tenants.table.items import TenantItem
from shared.events.envelope import Event
from shared.events.tenants import TenantDeleted
from shared.storage.codec import Codec
from shared.storage.table import TenantTable
from shared.storage.transaction import PRESENT, Expression, refuse_with

_COUNTS = Codec(RemovalCounts)


class CertificateTable(TenantTable[Certificate]):
    """The certificate of one tenant's deletion. It is not found unless a deleted tenant had this id."""

    prefix = "CERTIFICATE"
    codec = Codec(Certificate)
    not_found = TenantNotFound

    def replace_tenant(
        self, tenant: Tenant, deleted: Event[TenantDeleted], certificate: Certificate, *, now: datetime
    ) -> None:
        """Replace the tenant by its tombstone, so that its id is never reused, and store its certificate.

        Raises:
            TenantChangedMeanwhile: the tenant was changed or deleted meanwhile.
        """
        config = TenantItem(self.store, self.tenant_id)
        transaction = self.transaction()
        transaction.put(
            config.tombstone(seq=deleted.seq, now=now),
            when=config.has_revision(tenant.seq),
            otherwise=refuse_with(TenantChangedMeanwhile()),
        )
        transaction.put(self.item(certificate))
        transaction.emit(deleted)
        self.store.commit(transaction)

    def save_removal_counts(self, *, service: str, removed: RemovalCounts) -> None:
        """Record how much a service has removed. It is idempotent."""
        change = Expression(f"SET #removed.#{service} = :removed", {"removed": _COUNTS.encode(removed)})
        self.store.update(self.key(), change, when=PRESENT)
