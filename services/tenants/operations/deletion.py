"""The end of a tenant, step by step; each step follows from an event and may be done again.

Asked for here; runs ends the runs, metering closes the hours, billing syncs for the last time; then the tenant is gone,
every service removes what it has of it, and what they have removed is written into the certificate.
"""

from datetime import datetime

from services.tenants.domain import tenant as domain
from services.tenants.domain.certificate import Certificate, Removed
from services.tenants.domain.tenant import Tenant
from services.tenants.errors import TenantBeingDeleted, TenantNotFound
from services.tenants.gateways.identity import Identity
from services.tenants.operations.tenants import decide_on_tenant
from services.tenants.table import certificates, tenants
from shared.events.billing import UsageSynced
from shared.events.envelope import Event
from shared.events.tenants import TenantDataRemoved
from shared.http.etag import check_if_match
from shared.storage.store import Store


def request_deletion(store: Store, tenant_id: str, *, by: str, now: datetime, if_match: str | None = None) -> Tenant:
    """Let nothing new begin in a tenant, and everything in it end.

    Raises:
        TenantNotFound: there is none, or it is being deleted already.
    """

    def decide(there: Tenant) -> domain.Change:
        check_if_match(if_match, there.seq)
        return domain.request_deletion(there, by=by, now=now)

    try:
        return decide_on_tenant(store, tenant_id, decide)
    except TenantBeingDeleted as error:
        raise TenantNotFound from error


def finish_deletion(store: Store, event: Event[UsageSynced]) -> None:
    """Leave of the tenant its id and the certificate, now that nothing is under way and everything is billed."""
    try:
        tenant = tenants.get_tenant(store, event.tenant_id)
    except TenantNotFound:
        return
    if tenant.deletion is None:
        return
    certificate = Certificate(
        tenant.tenant_id, tenant.deletion.requested_by, tenant.deletion.requested_at, event.occurred_at, {}
    )
    deleted = domain.delete_tenant(tenant, now=event.occurred_at)
    tenants.bury_tenant(store, tenant, deleted, certificate, now=event.occurred_at)


def remove_users(identity: Identity, tenant_id: str) -> None:
    """Let nobody sign in to the tenant any more, however they came into the pool."""
    for user in identity.all():
        if user.tenant_id == tenant_id:
            identity.remove(user.username)


def certify(store: Store, event: Event[TenantDataRemoved]) -> None:
    """Write into the certificate what a service has removed."""
    said = event.data
    certificates.add_removed(store, event.tenant_id, service=said.service, removed=Removed(said.items, said.objects))
