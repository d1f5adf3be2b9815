"""An export of a tenant: what was asked for, and which services are done with it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from services.tenants.domain.certificate import SERVICES
from shared.events.envelope import Event, happened
from shared.events.tenants import TenantExportRequested
from shared.stored import Stored


@dataclass(frozen=True, slots=True)
class Share:
    """All that one service has written."""

    files: int
    lines: int
    index: Stored
    """The list of its files."""
    said_at: datetime


@dataclass(frozen=True, slots=True)
class Export:
    """All that there is of a tenant, as it is being written."""

    export_id: str
    tenant_id: str
    requested_by: str
    requested_at: datetime
    shares: Mapping[str, Share] = field(default_factory=dict[str, Share])
    """By service, of those that are done."""
    manifest: Stored | None = None

    @property
    def is_complete(self) -> bool:
        """Whether every service has written all that it has."""
        return set(self.shares) >= SERVICES

    @property
    def completed_at(self) -> datetime | None:
        """When the last service was done."""
        return max(share.said_at for share in self.shares.values()) if self.is_complete else None


def request_export(
    export_id: str, tenant_id: str, *, by: str, now: datetime
) -> tuple[Export, Event[TenantExportRequested]]:
    """A new export, and the word that every service answers."""
    said = happened(
        TenantExportRequested(export_id=export_id),
        event_id=f"{export_id}:requested",
        tenant_id=tenant_id,
        subject=export_id,
        seq=1,
        at=now,
    )
    return Export(export_id, tenant_id, by, now), said
