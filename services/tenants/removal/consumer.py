"""Handlers of the events that continue a deletion, and operators' commands."""

from dataclasses import asdict
from typing import Any

from pydantic import BaseModel, ConfigDict

from services.tenants import wiring
from services.tenants.errors import TenantNotFound
from services.tenants.removal import operations
from services.tenants.removal.domain import Certificate
from services.tenants.removal.table import CertificateTable
from services.tenants.tenants.domain.tenant import Deletion
from services.tenants.tenants.table.tenants import TenantRecord
from shared.events.billing import UsageSynced
from shared.events.envelope import Event
from shared.events.tenants import TenantDataRemoved
from shared.messaging.commands import CommandRouter
from shared.messaging.consumer import EventRouter
from shared.storage.inbox import Delivery
from shared.times import to_text

events = EventRouter()
commands = CommandRouter()


class _TenantInput(BaseModel):
    model_config = ConfigDict(extra="forbid")

    tenant_id: str


@events.on(UsageSynced)
def finish_deletion(event: Event[UsageSynced], _: Delivery) -> None:
    """Delete a tenant whose last usage is billed, so that every service removes its data."""
    operations.finish_deletion(wiring.slice_store(), event)


@events.on(TenantDataRemoved)
def record_removal(event: Event[TenantDataRemoved], _: Delivery) -> None:
    """Record in the certificate how much a service has removed."""
    operations.record_removal(wiring.slice_store(), event)


@commands.on("certificate", _TenantInput)
def certificate(command: _TenantInput) -> dict[str, Any]:
    """Return the certificate of a tenant's deletion. It lists no removals while the tenant's work is still ending."""
    store = wiring.slice_store()
    try:
        found = CertificateTable(store, command.tenant_id).get()
    except TenantNotFound:
        under_way = TenantRecord(store, command.tenant_id).get().deletion
        if under_way is None:
            raise
        return {"certificate": {"tenant_id": command.tenant_id, **_deletion_to_response(under_way)}}
    removed = {service: asdict(removed) for service, removed in sorted(found.removed.items())}
    payload = {**_deletion_to_response(found), "deleted_at": to_text(found.deleted_at)}
    return {"certificate": {"tenant_id": found.tenant_id, **payload, "complete": found.is_complete, "removed": removed}}


def _deletion_to_response(command: Deletion | Certificate) -> dict[str, Any]:
    """Return the fields of a certificate before anything is removed."""
    return {
        "requested_by": command.requested_by,
        "requested_at": to_text(command.requested_at),
        "deleted_at": None,
        "complete": False,
        "removed": {},
    }
