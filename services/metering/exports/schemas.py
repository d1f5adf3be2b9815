"""Requests and responses of exports."""

from datetime import date
from typing import Annotated, Self

from pydantic import ConfigDict, Field

from services.metering.exports.domain import ExportFormat, ExportStatus, LedgerExport
from services.metering.usage.schemas import DaysQuery
from shared.http.responses import ResponseBody
from shared.ids import TENANT_ID
from shared.schema import DocumentedModel
from shared.times import Rfc3339


class ExportQuery(DaysQuery):
    """The days to export, and the format of the file."""

    tenant_id: Annotated[str | None, Field(pattern=f"^{TENANT_ID.pattern}$")] = None
    """By default, the export covers all tenants."""
    format: ExportFormat = ExportFormat.CSV
    """The format of the file."""


class UsageExport(DocumentedModel):
    """An export. While it runs, only its parameters and its start time are known."""

    model_config = ConfigDict(populate_by_name=True)

    status: ExportStatus
    start: Annotated[date, Field(alias="from")]
    """The first day, in UTC."""
    end: Annotated[date, Field(alias="to")]
    """The day after the last day, in UTC."""
    tenant_id: str | None
    """Null if the export covers all tenants."""
    format: ExportFormat
    exported_at: Rfc3339
    """The start time of the export. The export contains the usage counted before this time."""
    events: int | None = None
    """The number of events in the file; null while the export runs."""
    bytes: int | None = None
    """The size of the file; null while the export runs."""
    url: str | None = None
    """The download URL. Repeating the request returns a new one."""
    expires_at: Rfc3339 | None = None
    """The expiry time of the URL."""

    @classmethod
    def of(cls, export: LedgerExport) -> Self:
        """Return the API representation of an export that is still running."""
        request = export.request
        return cls(
            status=export.status,
            start=request.days.start,
            end=request.days.end,
            tenant_id=request.tenant_id,
            format=request.format,
            exported_at=export.exported_at,
        )


class UsageExportResponse(ResponseBody):
    """The response with an export."""

    export: UsageExport
