"""Usage by day and by month."""

from datetime import date
from typing import Annotated, Required, TypedDict

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query
from pydantic import Field

from services.metering import wiring
from services.metering.api.application import TENANT, app
from services.metering.api.shapes import DaysQuery, Usage, all_meters
from services.metering.domain import periods
from services.metering.domain.periods import GroupBy, Period, Row
from services.metering.operations import reading
from shared.http.answers import ListAnswer, ok
from shared.http.call import Call, Caller, CurrentCall
from shared.meters import Meter
from shared.tenancy.context import TenantContext
from shared.tenancy.permissions import Role


class UsageQuery(DaysQuery):
    """Which usage, and by what it is broken down."""

    group_by: GroupBy | None = None


def _is_absent(value: str | None) -> bool:
    return value == _ABSENT


_ABSENT = ""
Group = Annotated[str | None, Field(exclude_if=_is_absent)]
"""What a row is of; absent unless it was asked to group by this, null where there is none."""


class GroupedUsage(Usage):
    """The same, in all or of what was asked to group by."""

    agent_id: Group = _ABSENT
    model: Group = _ABSENT
    provider: Group = _ABSENT
    project_id: Group = _ABSENT


class DailyUsage(GroupedUsage):
    """The usage of a day."""

    date: date


class MonthlyUsage(GroupedUsage):
    """The usage of a month."""

    month: str


class DailyAnswer(ListAnswer):
    """Usage by day, the newest first; days without any are left out."""

    daily: list[DailyUsage]


class MonthlyAnswer(ListAnswer):
    """Usage by month, the newest first; months without any are left out."""

    monthly: list[MonthlyUsage]


@app.route("GET", f"{TENANT}/usage/daily", least=Role.ANALYST)
def list_daily(caller: Caller, call: CurrentCall, query: Annotated[UsageQuery, Query()]) -> Response[DailyAnswer]:
    """Usage by day."""
    rows = _rows(caller, call, query, period=Period.DAY)
    return ok(DailyAnswer(daily=[DailyUsage(date=row.start, **_of(row, query.group_by)) for row in rows]))


@app.route("GET", f"{TENANT}/usage/monthly", least=Role.ANALYST)
def list_monthly(caller: Caller, call: CurrentCall, query: Annotated[UsageQuery, Query()]) -> Response[MonthlyAnswer]:
    """Usage by month."""
    rows = _rows(caller, call, query, period=Period.MONTH)
    return ok(
        MonthlyAnswer(monthly=[MonthlyUsage(month=f"{row.start:%Y-%m}", **_of(row, query.group_by)) for row in rows])
    )


def _rows(caller: TenantContext, call: Call, query: UsageQuery, *, period: Period) -> list[Row]:
    days = periods.days_asked(query.start, query.end, period=period, today=call.now.date())
    return reading.usage_of(wiring.tenant_store(), caller.tenant_id, days, period=period, group_by=query.group_by)


class _Of(TypedDict, total=False):
    """The fields that every row has."""

    meters: Required[dict[Meter, int]]
    cost_nano_usd: Required[int | None]
    agent_id: str | None
    model: str | None
    provider: str | None
    project_id: str | None


def _of(row: Row, group_by: GroupBy | None) -> _Of:
    said = _Of(meters=all_meters(row.amounts.meters), cost_nano_usd=row.amounts.cost_nano_usd)
    match group_by:
        case GroupBy.AGENT:
            said["agent_id"] = row.group
        case GroupBy.MODEL:
            said["model"] = row.group
        case GroupBy.PROVIDER:
            said["provider"] = row.group
        case GroupBy.PROJECT:
            said["project_id"] = row.group
        case None:
            pass
    return said
