"""Response models of exports."""

from collections.abc import Sequence
from typing import Literal, Self

from pydantic import ConfigDict

from services.tenants.exports import domain
from shared.http.responses import ResponseBody
from shared.schema import DocumentedModel
from shared.times import Rfc3339


class TenantExportPart(DocumentedModel):
    """The finished part of one service."""

    service: str
    files: int
    lines: int
    """The number of rows and documents in its files."""


class TenantExportFile(DocumentedModel):
    """A gzip file of JSON lines."""

    model_config = ConfigDict(from_attributes=True)

    service: str
    """The service whose data it contains."""
    url: str
    """A presigned URL that is valid for 15 minutes."""
    lines: int
    """The number of rows and documents in the file."""
    size_bytes: int
    """The compressed size."""
    sha256: str
    """64 hex digits, of the compressed file."""


class TenantExport(DocumentedModel):
    """An export of all data of a tenant."""

    export_id: str
    tenant_id: str
    status: Literal["running", "complete"]
    requested_by: str
    """The principal of the request, for example `user:<id>`."""
    requested_at: Rfc3339
    completed_at: Rfc3339 | None
    """Null until all services have finished."""
    services: list[TenantExportPart]
    """The services that have finished."""
    manifest_url: str | None
    """The download URL of the manifest, valid for 15 minutes; null until the export is complete."""
    files: list[TenantExportFile]
    """At most 1,000 files. The manifest lists all of them."""

    @classmethod
    def of(cls, export: domain.Export, *, manifest_url: str | None, files: Sequence[domain.DownloadableFile]) -> Self:
        """Return the response body of an export."""
        return cls(
            export_id=export.export_id,
            tenant_id=export.tenant_id,
            status="complete" if export.manifest else "running",
            requested_by=export.requested_by,
            requested_at=export.requested_at,
            completed_at=export.completed_at,
            services=[_exported_service(service, part) for service, part in sorted(export.parts.items())],
            manifest_url=manifest_url,
            files=[TenantExportFile.model_validate(file) for file in files],
        )


class TenantExportResponse(ResponseBody):
    """The response with one export."""

    export: TenantExport


def _exported_service(service: str, part: domain.ServicePart) -> TenantExportPart:
    return TenantExportPart(service=service, files=part.files, lines=part.lines)
