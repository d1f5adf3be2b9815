"""The dashboard endpoint: a summary of a tenant's usage and runs."""

from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query

from services.metering import wiring
from services.metering.counters.domain.days import UsagePeriod, requested_days
from services.metering.dashboard import operations
from services.metering.dashboard.schemas import Dashboard, DashboardResponse
from services.metering.usage.schemas import DaysQuery
from shared.http.call import Caller, CurrentCall
from shared.http.responses import ok
from shared.http.router import Router
from shared.tenancy.permissions import Role

router = Router()


@router.route("GET", "/v1/tenants/{tenant_id}/analytics/dashboard", min_role=Role.ANALYST)
def get_dashboard(
    caller: Caller, call: CurrentCall, query: Annotated[DaysQuery, Query()]
) -> Response[DashboardResponse]:
    """Return usage, cost, latency and errors for a range of days, by default the last 30, and the month's forecast."""
    days = requested_days(query.start, query.end, period=UsagePeriod.DAY, today=call.now.date())
    dashboard = operations.dashboard_of(wiring.tenant_store(), caller.tenant_id, days, now=call.now)
    return ok(DashboardResponse(dashboard=Dashboard.of(dashboard)))
