"""An export of a tenant: its request, and the parts of the services that have finished."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from services.tenants.tenants.domain.services import SERVICES
from shared.document_ref import DocumentRef
from shared.events.envelope import Event, new_event
from shared.events.tenants import TenantExportRequested


@dataclass(frozen=True, slots=True)
class ServicePart:
    """The finished part of one service."""

    files: int
    lines: int
    index: DocumentRef
    """The document that lists its files."""
    finished_at: datetime


@dataclass(frozen=True, slots=True)
class Export:
    """An export of all data of a tenant, in progress or complete."""

    export_id: str
    tenant_id: str
    requested_by: str
    requested_at: datetime
    parts: Mapping[str, ServicePart]
    """By service. Services that have not finished are absent."""
    manifest: DocumentRef | None = None

    @property
    def is_complete(self) -> bool:
        """Return whether every service has finished its part."""
        return set(self.parts) >= SERVICES

    @property
    def completed_at(self) -> datetime | None:
        """Return the time at which the last service finished; None before."""
        return max(part.finished_at for part in self.parts.values()) if self.is_complete else None


@dataclass(frozen=True, slots=True)
class DownloadableFile:
    """A downloadable file of an export."""

    service: str
    url: str
    lines: int
    size_bytes: int
    sha256: str
    """The hash of the compressed text."""


def request_export(
    export_id: str, tenant_id: str, *, by: str, now: datetime
) -> tuple[Export, Event[TenantExportRequested]]:
    """Return a new export, and the event on which every service writes its part."""
    payload = new_event(
        TenantExportRequested(export_id=export_id),
        event_id=f"{export_id}:requested",
        tenant_id=tenant_id,
        subject=export_id,
        seq=1,
        at=now,
    )
    return Export(export_id, tenant_id, by, now, parts={}), payload
