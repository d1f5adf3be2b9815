"""All that there is of a tenant, for who must have it: asked for here, written by every service, listed here."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.tenants.domain import export as domain
from services.tenants.domain.export import Export
from services.tenants.errors import TenantBeingDeleted
from services.tenants.table import exports
from services.tenants.table.tenants import get_tenant
from shared.declaration import exports_of
from shared.events.envelope import Event
from shared.events.tenants import TenantDataExported
from shared.storage.idempotency import Once
from shared.storage.objects import Artifacts
from shared.storage.store import Store
from shared.stored import Stored
from shared.times import to_text

ADDRESS_LASTS_S = 900
MOST_FILES = 1_000
"""That are shown with an address; the manifest names all."""


@dataclass(frozen=True, slots=True)
class File:
    """A file of an export, to be downloaded."""

    service: str
    url: str
    lines: int
    size_bytes: int
    sha256: str
    """Of the compressed text."""


def request_export(
    store: Store, tenant_id: str, export_id: str, *, by: str, now: datetime, once: Once | None = None
) -> Export:
    """Have every service write what it has of a tenant.

    Raises:
        TenantNotFound: there is none.
        TenantBeingDeleted: it goes.
    """
    if get_tenant(store, tenant_id).deletion:
        raise TenantBeingDeleted
    export, said = domain.request_export(export_id, tenant_id, by=by, now=now)
    exports.add_export(store, export, said, once=once)
    return export


def follow_export(store: Store, artifacts: Artifacts, event: Event[TenantDataExported]) -> None:
    """Write down that a service is done; the last one's word completes the export with its manifest."""
    export = exports.keep_share(store, event.tenant_id, event)
    if export is None or not export.is_complete or export.manifest:
        return
    path = f"{exports_of('tenants')}/{export.export_id}/manifest.json"
    manifest = artifacts.write(export.tenant_id, path, _manifest(artifacts, export))
    if not exports.keep_manifest(store, export, manifest):
        # The tenant was deleted meanwhile, and nothing of it may be left.
        artifacts.delete_below(export.tenant_id, exports_of("tenants"))


def files_of(artifacts: Artifacts, export: Export) -> list[File]:
    """The files of a complete export, with addresses that last a quarter of an hour."""
    if export.manifest is None:
        return []
    manifest = artifacts.read(export.tenant_id, export.manifest)
    found = [(part["service"], file) for part in manifest["services"] for file in part["files"]]
    return [_file(artifacts, export.tenant_id, service, file) for service, file in found[:MOST_FILES]]


def address_of_manifest(artifacts: Artifacts, export: Export) -> str | None:
    """Where the manifest can be downloaded, if it is written."""
    if export.manifest is None:
        return None
    return artifacts.address(export.tenant_id, export.manifest, lasts_s=ADDRESS_LASTS_S)


def _manifest(artifacts: Artifacts, export: Export) -> dict[str, Any]:
    indexes = [share.index for _, share in sorted(export.shares.items())]
    return {
        "export_id": export.export_id,
        "tenant_id": export.tenant_id,
        "requested_by": export.requested_by,
        "requested_at": to_text(export.requested_at),
        "completed_at": to_text(export.completed_at) if export.completed_at else None,
        "services": [artifacts.read(export.tenant_id, index) for index in indexes],
    }


def _file(artifacts: Artifacts, tenant_id: str, service: str, file: dict[str, Any]) -> File:
    stored = Stored(file["key"], file["sha256"])
    url = artifacts.address(tenant_id, stored, lasts_s=ADDRESS_LASTS_S)
    return File(service, url, file["lines"], file["size_bytes"], file["sha256"])
