"""The endpoints of daily and monthly usage."""

from typing import Annotated, Required, TypedDict

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query

from services.metering import wiring
from services.metering.counters.domain.days import UsagePeriod, requested_days
from services.metering.counters.schemas import MeterAmounts
from services.metering.usage import operations
from services.metering.usage.domain import POSITION, GroupBy, UsageRow, page_of_rows
from services.metering.usage.schemas import (
    DailyUsage,
    DailyUsageResponse,
    MonthlyUsage,
    MonthlyUsageResponse,
    UsageQuery,
)
from shared.http.call import Caller, CurrentCall, HttpCall
from shared.http.pagination import cursor_of, page_after
from shared.http.responses import Pagination, ok
from shared.http.router import Router
from shared.tenancy.context import TenantContext
from shared.tenancy.permissions import Role

router = Router()


@router.route("GET", "/v1/tenants/{tenant_id}/usage/daily", min_role=Role.ANALYST)
def list_daily_usage(
    caller: Caller, call: CurrentCall, query: Annotated[UsageQuery, Query()]
) -> Response[DailyUsageResponse]:
    """List usage by day, newest first."""
    rows, pagination = _page(caller, call, query, period=UsagePeriod.DAY)
    daily = [DailyUsage(date=row.start, **_of(row, query.group_by)) for row in rows]
    return ok(DailyUsageResponse(daily=daily, pagination=pagination))


@router.route("GET", "/v1/tenants/{tenant_id}/usage/monthly", min_role=Role.ANALYST)
def list_monthly_usage(
    caller: Caller, call: CurrentCall, query: Annotated[UsageQuery, Query()]
) -> Response[MonthlyUsageResponse]:
    """List usage by month, newest first."""
    rows, pagination = _page(caller, call, query, period=UsagePeriod.MONTH)
    monthly = [MonthlyUsage(month=f"{row.start:%Y-%m}", **_of(row, query.group_by)) for row in rows]
    return ok(MonthlyUsageResponse(monthly=monthly, pagination=pagination))


def _page(
    caller: TenantContext, call: HttpCall, query: UsageQuery, *, period: UsagePeriod
) -> tuple[list[UsageRow], Pagination]:
    days = requested_days(query.start, query.end, period=period, today=call.now.date())
    # The token is bound to the requested days, because a default day changes at midnight.
    scope = (caller.tenant_id, "usage", period, str(query.start), str(query.end), str(query.group_by))
    after = cursor_of(query.token, *scope, form=POSITION)
    rows = operations.read_usage(wiring.tenant_store(), caller.tenant_id, days, period=period, group_by=query.group_by)
    page, position = page_of_rows(rows, limit=query.limit, after=after)
    return page, page_after(position, *scope)


class _Of(TypedDict, total=False):
    """The fields that daily and monthly rows share."""

    meters: Required[MeterAmounts]
    cost_nano_usd: Required[int | None]
    unpriced_requests: Required[int]
    unpriced_tokens: Required[int]
    agent_id: str | None
    model: str | None
    provider: str | None
    project_id: str | None


def _of(row: UsageRow, group_by: GroupBy | None) -> _Of:
    payload = _Of(
        meters=MeterAmounts.of(row.amounts.meters),
        cost_nano_usd=row.amounts.cost_nano_usd,
        unpriced_requests=row.amounts.unpriced_requests,
        unpriced_tokens=row.amounts.unpriced_tokens,
    )
    match group_by:
        case GroupBy.AGENT:
            payload["agent_id"] = row.group
        case GroupBy.MODEL:
            payload["model"] = row.group
        case GroupBy.PROVIDER:
            payload["provider"] = row.group
        case GroupBy.PROJECT:
            payload["project_id"] = row.group
        case None:
            pass
    return payload
