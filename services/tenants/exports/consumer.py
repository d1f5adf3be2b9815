"""Handlers of the services' finished parts, and operators' commands."""

from dataclasses import asdict
from typing import Any

from pydantic import BaseModel, ConfigDict

from services.tenants import wiring
from services.tenants.exports import operations
from services.tenants.exports.domain import Export
from services.tenants.exports.table import ExportTable
from shared.events.envelope import Event
from shared.events.tenants import TenantDataExported
from shared.ids import new_id
from shared.messaging.commands import CommandRouter
from shared.messaging.consumer import EventRouter
from shared.storage.inbox import Delivery
from shared.times import to_text, utc_now

events = EventRouter()
commands = CommandRouter()


class _TenantInput(BaseModel):
    model_config = ConfigDict(extra="forbid")

    tenant_id: str


class _ExportInput(_TenantInput):
    export_id: str


@events.on(TenantDataExported)
def record_part(event: Event[TenantDataExported], _: Delivery) -> None:
    """Record that a service has finished its part. The last one completes the export."""
    operations.record_part(wiring.slice_store(), wiring.artifacts(), event)


@commands.on("export_tenant", _TenantInput)
def export_tenant(command: _TenantInput) -> dict[str, Any]:
    """Begin to export all data of a tenant as JSON lines."""
    now = utc_now()
    export = operations.request_export(
        wiring.slice_store(), command.tenant_id, new_id("xpt", now), by="operator", now=now
    )
    return {"export": _export_to_response(export)}


@commands.on("show_export", _ExportInput)
def show_export(command: _ExportInput) -> dict[str, Any]:
    """Return the progress of an export and, once it is complete, the URLs of its files."""
    export = ExportTable(wiring.slice_store(), command.tenant_id).get(command.export_id)
    return {"export": _export_to_response(export)}


def _export_to_response(export: Export) -> dict[str, Any]:
    artifacts = wiring.artifacts()
    return {
        "export_id": export.export_id,
        "tenant_id": export.tenant_id,
        "status": "complete" if export.manifest else "running",
        "requested_at": to_text(export.requested_at),
        "services": {service: {"files": part.files, "lines": part.lines} for service, part in export.parts.items()},
        "manifest_url": operations.presign_manifest(artifacts, export),
        "files": [asdict(file) for file in operations.presign_files(artifacts, export)],
    }
