"""The dashboard: a summary of a tenant's usage and runs."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import chain

from services.metering.counters.domain.amounts import OTHER, Amounts
from services.metering.counters.domain.days import Days, month_of
from services.metering.run_statistics.domain.statistics import RunStatistics
from services.metering.usage.domain import UsageRow

MAX_TOP_AGENTS = 10
"""The number of agents in the dashboard."""

MAX_AGENTS = 10_000
"""The limit of agents that are compared, about 30 MB. Further agents are included in the sums only."""

_DAY, _SECOND = timedelta(days=1), timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Activity:
    """Usage and finished runs of a tenant or of one agent."""

    amounts: Amounts = field(default_factory=Amounts)
    statistics: RunStatistics = field(default_factory=RunStatistics)

    def plus(self, other: "Activity") -> "Activity":
        """Return the sum of both."""
        return Activity(self.amounts.plus(other.amounts), self.statistics.plus(other.statistics))

    @property
    def tokens(self) -> int:
        """Input and output tokens."""
        return self.amounts.tokens


@dataclass(frozen=True, slots=True)
class DashboardData:
    """The usage and runs of a tenant in a range of days, and the forecast for the month."""

    days: Days
    total: Activity
    top_agents: list[tuple[str, Activity]]
    """The agents with the most tokens, in descending order."""
    month: Days
    forecast: Amounts
    """The usage of the month, extrapolated from its usage so far."""


def dashboard_of(
    days: Days,
    by_agent: Iterable[UsageRow],
    statistics: Iterable[tuple[str, RunStatistics]],
    *,
    month_so_far: Amounts,
    now: datetime,
) -> DashboardData:
    """Return the dashboard of these days.

    Args:
        days: the days to summarize.
        by_agent: their usage by agent.
        statistics: their finished runs by agent.
        month_so_far: the usage in the month of `now`.
        now: the current time.
    """
    agents: dict[str | None, Activity] = {}
    activities = chain(
        ((row.group, Activity(amounts=row.amounts)) for row in by_agent),
        ((agent_id, Activity(statistics=ended)) for agent_id, ended in statistics),
    )
    total = Activity()
    for agent_id, activity in activities:
        named_as = agent_id if agent_id in agents or len(agents) < MAX_AGENTS else OTHER.agent_id
        agents[named_as] = agents.get(named_as, Activity()).plus(activity)
        total = total.plus(activity)
    no_agents = {None, OTHER.agent_id}
    named = [(agent_id, activity) for agent_id, activity in agents.items() if agent_id and agent_id not in no_agents]
    top = sorted(named, key=lambda agent: (-agent[1].tokens, agent[0]))[:MAX_TOP_AGENTS]
    month = month_of(now.astimezone(UTC).date())
    return DashboardData(days, total, top, month, forecast(month_so_far, month=month, now=now))


def forecast(so_far: Amounts, *, month: Days, now: datetime) -> Amounts:
    """Extrapolate the usage so far to the whole month. At least one day is assumed to have elapsed.

    Unknown costs are not estimated.
    """
    elapsed_s = max(now - month.starts_at, _DAY) // _SECOND
    whole_s = (month.ends_at - month.starts_at) // _SECOND

    def extrapolated(amount: int) -> int:
        return amount * whole_s // elapsed_s

    return Amounts(
        so_far.events,
        so_far.unpriced,
        extrapolated(so_far.priced_nano_usd),
        {meter: extrapolated(amount) for meter, amount in so_far.meters.items()},
        extrapolated(so_far.unpriced_requests),
        extrapolated(so_far.unpriced_tokens),
    )
