"""A tenant's usage and runs at a glance."""

from datetime import date
from typing import Annotated, Self

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query
from pydantic import BaseModel, ConfigDict, Field

from services.metering import wiring
from services.metering.api.application import TENANT, app
from services.metering.api.shapes import DaysQuery, Usage, all_meters
from services.metering.domain import dashboard as domain
from services.metering.domain import periods
from services.metering.domain.dashboard import Activity
from services.metering.domain.durations import Durations
from services.metering.domain.endings import Endings
from services.metering.domain.periods import Period
from services.metering.operations import overview
from shared.http.answers import Answer, ok
from shared.http.call import Caller, CurrentCall
from shared.tenancy.permissions import Role


class Runs(BaseModel):
    """How runs ended."""

    completed: int
    failed: int
    cancelled: int
    error_rate_basis_points: int | None
    """Failed runs of those that were not cancelled, in 1/100 percent; null when there are none."""

    @classmethod
    def of(cls, endings: Endings) -> Self:
        """As it is shown."""
        return cls(
            completed=endings.completed,
            failed=endings.failed,
            cancelled=endings.cancelled,
            error_rate_basis_points=endings.error_rate_basis_points,
        )


class Latency(BaseModel):
    """How long the runs that completed took, from the request to the answer, with all waiting.

    Percentiles are exact to a sixteenth.
    """

    mean_ms: int
    p50_ms: int
    p90_ms: int
    p95_ms: int
    p99_ms: int

    @classmethod
    def of(cls, durations: Durations) -> Self | None:
        """As it is shown; None without any."""
        if not durations.number:
            return None
        at = {f"p{percent}_ms": durations.percentile_ms(percent) for percent in (50, 90, 95, 99)}
        return cls(mean_ms=durations.mean_ms, **at)


class Active(Usage):
    """What was used, and how runs ended."""

    runs: Runs
    latency: Latency | None
    """Null when no run completed."""


class ActiveAgent(Active):
    """The same of one agent."""

    agent_id: str


class Forecast(Usage):
    """What a month comes to if usage goes on as it did in it until now."""

    month: str


class Dashboard(Active):
    """Some days of a tenant."""

    model_config = ConfigDict(populate_by_name=True)

    start: Annotated[date, Field(alias="from")]
    end: Annotated[date, Field(alias="to")]
    top_agents: list[ActiveAgent]
    """Up to ten, those that used most tokens first; the usage of no agent is in the sums alone."""
    forecast: Forecast
    """Of the current month, whatever days were asked for."""

    @classmethod
    def of(cls, found: domain.Dashboard) -> Self:
        """As it is shown."""
        return cls(
            start=found.days.start,
            end=found.days.end,
            **_active(found.total).model_dump(),
            top_agents=[
                ActiveAgent(agent_id=agent_id, **_active(activity).model_dump())
                for agent_id, activity in found.top_agents
            ],
            forecast=Forecast(
                month=f"{found.month.start:%Y-%m}",
                meters=all_meters(found.forecast.meters),
                cost_nano_usd=found.forecast.cost_nano_usd,
            ),
        )


class DashboardAnswer(Answer):
    """A dashboard."""

    dashboard: Dashboard


@app.route("GET", f"{TENANT}/analytics/dashboard", least=Role.ANALYST)
def show_dashboard(
    caller: Caller, call: CurrentCall, query: Annotated[DaysQuery, Query()]
) -> Response[DashboardAnswer]:
    """Usage, cost, latency and errors of some days, by default the last 30, and what the month may come to."""
    days = periods.days_asked(query.start, query.end, period=Period.DAY, today=call.now.date())
    found = overview.dashboard_of(wiring.tenant_store(), caller.tenant_id, days, now=call.now)
    return ok(DashboardAnswer(dashboard=Dashboard.of(found)))


def _active(activity: Activity) -> Active:
    return Active(
        meters=all_meters(activity.amounts.meters),
        cost_nano_usd=activity.amounts.cost_nano_usd,
        runs=Runs.of(activity.endings),
        latency=Latency.of(activity.endings.durations),
    )
