"""Exports of a tenant's data: requested and listed here, written by every service."""

from datetime import datetime
from typing import Any

from services.tenants.errors import TenantBeingDeleted
from services.tenants.exports import domain
from services.tenants.exports.domain import DownloadableFile, Export, ServicePart
from services.tenants.exports.table import ExportTable
from services.tenants.tenants.table.tenants import TenantRecord
from shared.declaration import exports_of
from shared.document_ref import DocumentRef
from shared.events.envelope import Event
from shared.events.tenants import TenantDataExported
from shared.storage.idempotency import IdempotencyKey
from shared.storage.objects import Artifacts
from shared.storage.store import Store
from shared.times import to_text

URL_LIFETIME_S = 900
MAX_LISTED_FILES = 1_000
"""The maximum number of files that are listed with a URL. The manifest lists all."""


def request_export(
    store: Store,
    tenant_id: str,
    export_id: str,
    *,
    by: str,
    now: datetime,
    idempotency_key: IdempotencyKey | None = None,
) -> Export:
    """Begin an export: every service writes its data of the tenant.

    Raises:
        TenantNotFound: the tenant does not exist.
        TenantBeingDeleted: the deletion of the tenant has begun.
    """
    if TenantRecord(store, tenant_id).get().deletion:
        raise TenantBeingDeleted
    export, payload = domain.request_export(export_id, tenant_id, by=by, now=now)
    ExportTable(store, tenant_id).create(export, payload, idempotency_key=idempotency_key)
    return export


def record_part(store: Store, artifacts: Artifacts, event: Event[TenantDataExported]) -> None:
    """Record that a service has finished its part. After the last part, write the manifest, which completes it."""
    exports, payload = ExportTable(store, event.tenant_id), event.data
    index = DocumentRef(payload.index_key, payload.index_sha256)
    part = ServicePart(payload.files, payload.lines, index, finished_at=event.occurred_at)
    export = exports.save_part(payload.export_id, payload.service, part)
    if export is None or not export.is_complete or export.manifest:
        return
    path = f"{exports_of('tenants')}/{export.export_id}/manifest.json"
    manifest = artifacts.write(export.tenant_id, path, _manifest(artifacts, export))
    if not exports.save_manifest(export.export_id, manifest):
        # The tenant was deleted meanwhile, so no data of it may remain.
        artifacts.delete_below(export.tenant_id, exports_of("tenants"))


def presign_files(artifacts: Artifacts, export: Export) -> list[DownloadableFile]:
    """Return the files of a complete export, with presigned URLs that are valid for 15 minutes."""
    if export.manifest is None:
        return []
    manifest = artifacts.read(export.tenant_id, export.manifest)
    found = [(part["service"], file) for part in manifest["services"] for file in part["files"]]
    return [_file(artifacts, export.tenant_id, service, file) for service, file in found[:MAX_LISTED_FILES]]


def presign_manifest(artifacts: Artifacts, export: Export) -> str | None:
    """Return a presigned URL of the manifest, or None before it is written."""
    if export.manifest is None:
        return None
    return artifacts.address(export.tenant_id, export.manifest, lasts_s=URL_LIFETIME_S)


def _manifest(artifacts: Artifacts, export: Export) -> dict[str, Any]:
    indexes = [part.index for _, part in sorted(export.parts.items())]
    return {
        "export_id": export.export_id,
        "tenant_id": export.tenant_id,
        "requested_by": export.requested_by,
        "requested_at": to_text(export.requested_at),
        "completed_at": to_text(export.completed_at) if export.completed_at else None,
        "services": [artifacts.read(export.tenant_id, index) for index in indexes],
    }


def _file(artifacts: Artifacts, tenant_id: str, service: str, file: dict[str, Any]) -> DownloadableFile:
    stored = DocumentRef(file["key"], file["sha256"])
    url = artifacts.address(tenant_id, stored, lasts_s=URL_LIFETIME_S)
    return DownloadableFile(service, url, file["lines"], file["size_bytes"], file["sha256"])
