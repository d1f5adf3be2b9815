"""The response of the dashboard."""

from datetime import date
from typing import Annotated, Self

from pydantic import ConfigDict, Field

from services.metering.counters.schemas import MeterAmounts
from services.metering.dashboard import domain
from services.metering.dashboard.domain import Activity
from services.metering.run_statistics.domain.durations import Durations
from services.metering.run_statistics.domain.statistics import RunStatistics
from services.metering.usage.schemas import UsageAmounts
from shared.http.responses import ResponseBody
from shared.schema import DocumentedModel


class RunCounts(DocumentedModel):
    """The number of runs by final status."""

    completed: int
    failed: int
    cancelled: int
    error_rate_basis_points: int | None
    """Failed runs as a share of the runs that were not cancelled, in 1/100 percent; null if there are none."""

    @classmethod
    def of(cls, statistics: RunStatistics) -> Self:
        """Return the API representation."""
        return cls(
            completed=statistics.completed,
            failed=statistics.failed,
            cancelled=statistics.cancelled,
            error_rate_basis_points=statistics.error_rate_basis_points,
        )


class RunLatency(DocumentedModel):
    """The duration of completed runs, from request to response and including all waiting.

    Percentiles are accurate to one sixteenth.
    """

    mean_ms: int
    """The mean."""
    p50_ms: int
    """The median."""
    p90_ms: int
    """The 90th percentile."""
    p95_ms: int
    """The 95th percentile."""
    p99_ms: int
    """The 99th percentile."""

    @classmethod
    def of(cls, durations: Durations) -> Self | None:
        """Return the API representation, or None if there are no durations."""
        if not durations.count:
            return None
        at = {f"p{percent}_ms": durations.percentile_ms(percent) for percent in (50, 90, 95, 99)}
        return cls(mean_ms=durations.mean_ms, **at)


class ActivityUsage(UsageAmounts):
    """Usage, and the final status of runs."""

    runs: RunCounts
    """Runs that ended in the range, by final status."""
    latency: RunLatency | None
    """Null if no run completed."""


class AgentActivity(ActivityUsage):
    """The usage and runs of one agent."""

    agent_id: str


class UsageForecast(UsageAmounts):
    """The usage of a month, extrapolated from its usage so far."""

    month: str
    """In UTC, for example `2026-11`."""


class Dashboard(ActivityUsage):
    """The usage and runs of a tenant in a range of days."""

    model_config = ConfigDict(populate_by_name=True)

    start: Annotated[date, Field(alias="from")]
    """The first day, in UTC."""
    end: Annotated[date, Field(alias="to")]
    """The day after the last day, in UTC."""
    top_agents: list[AgentActivity]
    """At most ten agents, the one with the most tokens first. Usage without an agent is included in the sums only."""
    forecast: UsageForecast
    """For the current month, independent of the requested days."""

    @classmethod
    def of(cls, data: domain.DashboardData) -> Self:
        """Return the API representation."""
        return cls(
            start=data.days.start,
            end=data.days.end,
            **_active(data.total).model_dump(),
            top_agents=[
                AgentActivity(agent_id=agent_id, **_active(activity).model_dump())
                for agent_id, activity in data.top_agents
            ],
            forecast=UsageForecast(
                month=f"{data.month.start:%Y-%m}",
                meters=MeterAmounts.of(data.forecast.meters),
                cost_nano_usd=data.forecast.cost_nano_usd,
                unpriced_requests=data.forecast.unpriced_requests,
                unpriced_tokens=data.forecast.unpriced_tokens,
            ),
        )


class DashboardResponse(ResponseBody):
    """The response with a dashboard."""

    dashboard: Dashboard


def _active(activity: Activity) -> ActivityUsage:
    return ActivityUsage(
        meters=MeterAmounts.of(activity.amounts.meters),
        cost_nano_usd=activity.amounts.cost_nano_usd,
        unpriced_requests=activity.amounts.unpriced_requests,
        unpriced_tokens=activity.amounts.unpriced_tokens,
        runs=RunCounts.of(activity.statistics),
        latency=RunLatency.of(activity.statistics.durations),
    )
