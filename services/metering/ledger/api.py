"""The endpoint that lists usage events."""

from datetime import timedelta
from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query

from services.metering import wiring
from services.metering.counters.domain.days import check_range
from services.metering.ledger.schemas import EventsQuery, UsageEvent, UsageEventsResponse
from services.metering.ledger.table.entries import LedgerTable
from shared.http.call import Caller, CurrentCall
from shared.http.pagination import cursor_of, page_after
from shared.http.responses import ok
from shared.http.router import Router
from shared.ids import VISIBLE
from shared.tenancy.permissions import Role
from shared.times import TIME_TEXT, to_text

router = Router()

_DEFAULT_RANGE = timedelta(hours=24)


@router.route("GET", "/v1/tenants/{tenant_id}/usage/events", min_role=Role.ANALYST)
def list_usage_events(
    caller: Caller, call: CurrentCall, query: Annotated[EventsQuery, Query()]
) -> Response[UsageEventsResponse]:
    """List usage events, newest first."""
    end = query.end or call.now
    start = query.start or end - _DEFAULT_RANGE
    check_range(end - start)
    # The token is bound to the requested times, because a default time changes between two pages.
    scope = (caller.tenant_id, "usage/events", *(to_text(asked) if asked else "" for asked in (query.start, query.end)))
    entries, next_cursor = LedgerTable(wiring.tenant_store(), caller.tenant_id).page_between(
        start=start,
        end=end,
        limit=query.limit,
        after=cursor_of(query.token, *scope, form=f"{TIME_TEXT}#{VISIBLE}"),
    )
    return ok(
        UsageEventsResponse(
            events=[UsageEvent.of(entry) for entry in entries], pagination=page_after(next_cursor, *scope)
        )
    )
