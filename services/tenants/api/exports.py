"""Exports of a tenant, for operators."""

from typing import Literal, Self

from aws_lambda_powertools.event_handler import Response
from pydantic import BaseModel, ConfigDict

from services.tenants import wiring
from services.tenants.api.admin import TENANT, app
from services.tenants.domain import export as domain
from services.tenants.operations import exports as operations
from services.tenants.table import exports as table
from shared.http.answers import Answer, accepted, ok
from shared.http.call import Caller, CurrentCall
from shared.ids import new_id
from shared.tenancy.context import TenantContext
from shared.tenancy.permissions import Role
from shared.times import Rfc3339


class Share(BaseModel):
    """What one service has written, which is done."""

    service: str
    files: int
    lines: int


class ExportFile(BaseModel):
    """A file of compressed JSON lines."""

    model_config = ConfigDict(from_attributes=True)

    service: str
    url: str
    """Good for a quarter of an hour."""
    lines: int
    size_bytes: int
    sha256: str


class Export(BaseModel):
    """All that there is of a tenant."""

    export_id: str
    tenant_id: str
    status: Literal["running", "complete"]
    requested_by: str
    requested_at: Rfc3339
    completed_at: Rfc3339 | None
    services: list[Share]
    manifest_url: str | None
    files: list[ExportFile]
    """At most 1,000; the manifest names all."""

    @classmethod
    def of(cls, export: domain.Export) -> Self:
        """As it is shown, with new addresses."""
        artifacts = wiring.artifacts()
        return cls(
            export_id=export.export_id,
            tenant_id=export.tenant_id,
            status="complete" if export.manifest else "running",
            requested_by=export.requested_by,
            requested_at=export.requested_at,
            completed_at=export.completed_at,
            services=[_share(service, share) for service, share in sorted(export.shares.items())],
            manifest_url=operations.address_of_manifest(artifacts, export),
            files=[ExportFile.model_validate(file) for file in operations.files_of(artifacts, export)],
        )


class TenantExportAnswer(Answer):
    """One export."""

    export: Export


def _show_accepted(caller: TenantContext, export_id: str) -> Response[TenantExportAnswer]:
    return _accepted(table.get_export(wiring.slice_store(), caller.tenant_id, export_id))


@app.route("POST", f"{TENANT}/export", least=Role.PLATFORM_ADMIN, statuses=(202,), replay=_show_accepted)
def export_tenant(caller: Caller, call: CurrentCall) -> Response[TenantExportAnswer]:
    """Have everything of a tenant written as JSON lines; look at it until it is complete."""
    export_id = new_id("xpt", call.now, entropy=call.once.entropy) if call.once else new_id("xpt", call.now)
    export = operations.request_export(
        wiring.slice_store(), caller.tenant_id, export_id, by=caller.principal, now=call.now, once=call.once
    )
    return _accepted(export)


@app.route("GET", f"{TENANT}/exports/{{export_id}}", least=Role.PLATFORM_ADMIN)
def get_export(caller: Caller, export_id: str) -> Response[TenantExportAnswer]:
    """How far an export is, and when it is complete, where its files can be downloaded."""
    return ok(TenantExportAnswer(export=Export.of(table.get_export(wiring.slice_store(), caller.tenant_id, export_id))))


def _share(service: str, share: domain.Share) -> Share:
    return Share(service=service, files=share.files, lines=share.lines)


def _accepted(export: domain.Export) -> Response[TenantExportAnswer]:
    location = f"{TENANT.format(tenant_id=export.tenant_id)}/exports/{export.export_id}"
    return accepted(TenantExportAnswer(export=Export.of(export)), location=location)
