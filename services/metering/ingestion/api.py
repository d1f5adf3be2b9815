"""The endpoint to which tenants report usage events."""

from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body

from services.metering import wiring
from services.metering.ingestion import operations
from services.metering.ingestion.schemas import NewUsageEvents, UsageEventResult, UsageEventResultsResponse
from shared.http.call import Caller, CurrentCall
from shared.http.responses import ok
from shared.http.router import Router
from shared.tenancy.permissions import Role

router = Router()


@router.route("POST", "/v1/tenants/{tenant_id}/usage/events", min_role=Role.DEVELOPER, statuses=(200,), audited=False)
def report_usage_events(
    caller: Caller, call: CurrentCall, body: Annotated[NewUsageEvents, Body()]
) -> Response[UsageEventResultsResponse]:
    """Count usage events that the tenant reports, each once by its source and id. Sending an event again is safe.

    A tenant may send 200 requests in 10 s. A request over this limit is refused with 429 `TooManyRequests` and
    `Retry-After`, and none of its events is counted.
    """
    refused = wiring.throttled_tenants()
    ingested = operations.ingest(wiring.tenant_store(), caller.tenant_id, body.events, now=call.now, throttled=refused)
    pairs = zip(body.events, ingested, strict=True)
    return ok(
        UsageEventResultsResponse(
            results=[
                UsageEventResult(
                    id=_id_of(sent), status=result.status, reason=result.reason, grouped_as=result.grouped_as
                )
                for sent, result in pairs
            ]
        )
    )


def _id_of(sent: object) -> str | None:
    match sent:
        case {"id": str(given)}:
            return given
        case _:
            return None
