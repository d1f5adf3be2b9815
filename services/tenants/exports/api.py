"""HTTP API of operators for exports of a tenant's data."""

from aws_lambda_powertools.event_handler import Response

from services.tenants import wiring
from services.tenants.exports import domain, operations
from services.tenants.exports.schemas import TenantExport, TenantExportResponse
from services.tenants.exports.table import ExportTable
from shared.http.call import Caller, CurrentCall
from shared.http.responses import accepted, ok
from shared.http.router import Router
from shared.ids import new_id
from shared.tenancy.context import TenantContext
from shared.tenancy.permissions import Role

router = Router()

_TENANT = "/v1/admin/tenants/{tenant_id}"


def _replay_accepted(caller: TenantContext, export_id: str) -> Response[TenantExportResponse]:
    return _accepted_response(ExportTable(wiring.slice_store(), caller.tenant_id).get(export_id))


@router.route("POST", f"{_TENANT}/export", min_role=Role.PLATFORM_ADMIN, statuses=(202,), replay=_replay_accepted)
def export_tenant(caller: Caller, call: CurrentCall) -> Response[TenantExportResponse]:
    """Begin to export all data of a tenant as JSON lines. Poll the export until its status is `complete`."""
    export_id = (
        new_id("xpt", call.now, entropy=call.idempotency_key.entropy)
        if call.idempotency_key
        else new_id("xpt", call.now)
    )
    export = operations.request_export(
        wiring.slice_store(),
        caller.tenant_id,
        export_id,
        by=caller.principal,
        now=call.now,
        idempotency_key=call.idempotency_key,
    )
    return _accepted_response(export)


@router.route("GET", f"{_TENANT}/exports/{{export_id}}", min_role=Role.PLATFORM_ADMIN)
def get_tenant_export(caller: Caller, export_id: str) -> Response[TenantExportResponse]:
    """Get the progress of an export and, once it is complete, the URLs of its files."""
    return ok(TenantExportResponse(export=_export(ExportTable(wiring.slice_store(), caller.tenant_id).get(export_id))))


def _export(export: domain.Export) -> TenantExport:
    artifacts = wiring.artifacts()
    manifest_url = operations.presign_manifest(artifacts, export)
    return TenantExport.of(export, manifest_url=manifest_url, files=operations.presign_files(artifacts, export))


def _accepted_response(export: domain.Export) -> Response[TenantExportResponse]:
    location = f"{_TENANT.format(tenant_id=export.tenant_id)}/exports/{export.export_id}"
    return accepted(TenantExportResponse(export=_export(export)), location=location)
