"""The endpoint of exports, for operators."""

import time
from datetime import timedelta
from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query

from services.metering import wiring
from services.metering.counters.domain.days import UsagePeriod, requested_days
from services.metering.exports.domain import ExportRequest, ExportStatus
from services.metering.exports.operations import requests
from services.metering.exports.schemas import ExportQuery, UsageExport, UsageExportResponse
from shared.http.call import CurrentCall
from shared.http.responses import accepted, ok
from shared.http.router import Router
from shared.tenancy.permissions import Role

router = Router()

_EXPORT = "/v1/admin/usage/export"
_URL_VALIDITY = timedelta(minutes=5)
"""Validity of a download URL. The credentials that sign it are certain to be valid for this long."""


@router.route("GET", _EXPORT, min_role=Role.PLATFORM_ADMIN, statuses=(200, 202))
def export_usage(call: CurrentCall, query: Annotated[ExportQuery, Query()]) -> Response[UsageExportResponse]:
    """Export the ledger of a range of days, by default the last 30.

    A 202 means that the file is still being written; repeat the request.
    """
    days = requested_days(query.start, query.end, period=UsagePeriod.DAY, today=call.now.date())
    request = ExportRequest(days, query.tenant_id, query.format)
    store, queue = wiring.slice_store(), wiring.export_queue()
    export = requests.request_export(store, queue, request, now=call.now, sleep=time.sleep, monotonic=time.monotonic)
    response = UsageExport.of(export)
    if export.status is ExportStatus.RUNNING:
        return accepted(UsageExportResponse(export=response), location=_location(request))
    url = wiring.export_bucket().presigned_url(export.path, valid_for_s=int(_URL_VALIDITY.total_seconds()))
    done = {"events": export.events, "bytes": export.bytes, "url": url, "expires_at": call.now + _URL_VALIDITY}
    return ok(UsageExportResponse(export=response.model_copy(update=done)))


def _location(request: ExportRequest) -> str:
    of_tenant = f"&tenant_id={request.tenant_id}" if request.tenant_id else ""
    return f"{_EXPORT}?from={request.days.start}&to={request.days.end}&format={request.format}{of_tenant}"
