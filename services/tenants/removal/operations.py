"""Deletion of a tenant, in steps. Each step is triggered by an event and is idempotent.

After the request, the runs service ends the runs, metering closes the hours, and billing syncs the last usage. Then
the tenant is deleted, every service removes its data, and the certificate records how much each has removed.
"""

from services.tenants.removal.domain import Certificate, RemovalCounts
from services.tenants.removal.table import CertificateTable
from services.tenants.tenants.domain import tenant as domain
from services.tenants.tenants.table.tenants import TenantRecord
from shared.events.billing import UsageSynced
from shared.events.envelope import Event
from shared.events.tenants import TenantDataRemoved
from shared.storage.store import Store


def finish_deletion(store: Store, event: Event[UsageSynced]) -> None:
    """Replace the tenant by its tombstone and certificate, once its last usage is billed."""
    tenant = TenantRecord(store, event.tenant_id).find()
    if tenant is None or tenant.deletion is None:
        return
    certificate = Certificate(
        tenant.tenant_id, tenant.deletion.requested_by, tenant.deletion.requested_at, event.occurred_at, {}
    )
    deleted = domain.delete_tenant(tenant, now=event.occurred_at)
    CertificateTable(store, tenant.tenant_id).replace_tenant(tenant, deleted, certificate, now=event.occurred_at)


def record_removal(store: Store, event: Event[TenantDataRemoved]) -> None:
    """Record in the certificate how much a service has removed."""
    payload = event.data
    removed = RemovalCounts(payload.items, payload.objects)
    CertificateTable(store, event.tenant_id).save_removal_counts(service=payload.service, removed=removed)
