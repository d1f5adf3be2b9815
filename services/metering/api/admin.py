"""Usage of all tenants, for operators: another application, in a function that reaches the slice of every tenant."""

import time
from datetime import date, timedelta
from typing import Annotated, Self

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query
from pydantic import BaseModel, ConfigDict, Field

from services.metering import wiring
from services.metering.api.shapes import DaysQuery
from services.metering.domain import periods
from services.metering.domain.export import Asked, Export, ExportFormat, ExportStatus
from services.metering.domain.periods import Period
from services.metering.operations import exporting
from shared.http.answers import Answer, accepted, ok
from shared.http.app import HttpApp
from shared.http.call import CurrentCall
from shared.ids import TENANT_ID
from shared.tenancy.permissions import Role
from shared.times import Rfc3339

app = HttpApp(store=wiring.slice_store)

_EXPORT = "/v1/admin/usage/export"
_LASTS = timedelta(minutes=5)
"""No longer than the credentials that sign an address are certain to last."""


class ExportQuery(DaysQuery):
    """What is to be exported, and how it is written."""

    tenant_id: Annotated[str | None, Field(pattern=f"^{TENANT_ID.pattern}$")] = None
    format: ExportFormat = ExportFormat.CSV


class UsageExport(BaseModel):
    """An export; while it runs, only what was asked for and since when is known."""

    model_config = ConfigDict(populate_by_name=True)

    status: ExportStatus
    start: Annotated[date, Field(alias="from")]
    end: Annotated[date, Field(alias="to")]
    tenant_id: str | None
    """Null: of all tenants."""
    format: ExportFormat
    exported_at: Rfc3339
    """What was counted by then is in it."""
    events: int | None = None
    bytes: int | None = None
    url: str | None = None
    """Where it can be downloaded; the same question gives a new address."""
    expires_at: Rfc3339 | None = None
    """Of the address."""

    @classmethod
    def of(cls, export: Export) -> Self:
        """As it is shown while it runs."""
        asked = export.asked
        return cls(
            status=export.status,
            start=asked.days.start,
            end=asked.days.end,
            tenant_id=asked.tenant_id,
            format=asked.format,
            exported_at=export.exported_at,
        )


class ExportAnswer(Answer):
    """An export."""

    export: UsageExport


@app.route("GET", _EXPORT, least=Role.PLATFORM_ADMIN, statuses=(200, 202))
def export_usage(call: CurrentCall, query: Annotated[ExportQuery, Query()]) -> Response[ExportAnswer]:
    """The ledger of some days, by default the last 30, as a file; 202: it is being written, ask again."""
    days = periods.days_asked(query.start, query.end, period=Period.DAY, today=call.now.date())
    asked = Asked(days, query.tenant_id, query.format)
    store, queue = wiring.slice_store(), wiring.export_queue()
    found = exporting.ask(store, queue, asked, now=call.now, sleep=time.sleep, monotonic=time.monotonic)
    shown = UsageExport.of(found)
    if found.status is ExportStatus.RUNNING:
        return accepted(ExportAnswer(export=shown), location=_location(asked))
    url = wiring.export_bucket().address(found.path, lasts_s=int(_LASTS.total_seconds()))
    done = {"events": found.events, "bytes": found.bytes, "url": url, "expires_at": call.now + _LASTS}
    return ok(ExportAnswer(export=shown.model_copy(update=done)))


def _location(asked: Asked) -> str:
    of_tenant = f"&tenant_id={asked.tenant_id}" if asked.tenant_id else ""
    return f"{_EXPORT}?from={asked.days.start}&to={asked.days.end}&format={asked.format}{of_tenant}"
