"""A tenant's usage and runs at a glance."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import chain

from services.metering.domain import periods
from services.metering.domain.endings import Endings
from services.metering.domain.periods import Days, Row
from services.metering.domain.usage import OTHER, Amounts

TOP = 10
"""Agents that are shown."""

MAX_AGENTS = 10_000
"""Agents that are compared, some 30 MB; further ones are in the sums alone."""

_DAY, _SECOND = timedelta(days=1), timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Activity:
    """What was used, and how runs ended: of a tenant, or of one of its agents."""

    amounts: Amounts = field(default_factory=Amounts)
    endings: Endings = field(default_factory=Endings)

    def plus(self, other: "Activity") -> "Activity":
        """Both together."""
        return Activity(self.amounts.plus(other.amounts), self.endings.plus(other.endings))

    @property
    def tokens(self) -> int:
        """Input and output together."""
        return self.amounts.tokens


@dataclass(frozen=True, slots=True)
class Dashboard:
    """Some days of a tenant, and what its month may come to."""

    days: Days
    total: Activity
    top_agents: list[tuple[str, Activity]]
    """Those that used most tokens, the first the most."""
    month: Days
    forecast: Amounts
    """The month's usage if it goes on as it did until now."""


def dashboard_of(
    days: Days, by_agent: Iterable[Row], endings: Iterable[tuple[str, Endings]], *, month_so_far: Amounts, now: datetime
) -> Dashboard:
    """The dashboard of these days.

    Args:
        days: that are looked at.
        by_agent: what was used in them.
        endings: how runs ended in them, by agent.
        month_so_far: what was used in the month of `now`.
        now: the present.
    """
    agents: dict[str | None, Activity] = {}
    activities = chain(
        ((row.group, Activity(amounts=row.amounts)) for row in by_agent),
        ((agent_id, Activity(endings=ended)) for agent_id, ended in endings),
    )
    total = Activity()
    for agent_id, activity in activities:
        named_as = agent_id if agent_id in agents or len(agents) < MAX_AGENTS else OTHER.agent_id
        agents[named_as] = agents.get(named_as, Activity()).plus(activity)
        total = total.plus(activity)
    no_agents = {None, OTHER.agent_id}
    named = [(agent_id, activity) for agent_id, activity in agents.items() if agent_id and agent_id not in no_agents]
    top = sorted(named, key=lambda one: (-one[1].tokens, one[0]))[:TOP]
    month = periods.month_of(now.astimezone(UTC).date())
    return Dashboard(days, total, top, month, forecast(month_so_far, month=month, now=now))


def forecast(so_far: Amounts, *, month: Days, now: datetime) -> Amounts:
    """What the month comes to if usage goes on as it did until now; its first day counts as a whole one from the start.

    A cost that is not known is not guessed.
    """
    elapsed_s = max(now - month.starts_at, _DAY) // _SECOND
    whole_s = (month.ends_at - month.starts_at) // _SECOND

    def grown(amount: int) -> int:
        return amount * whole_s // elapsed_s

    return Amounts(
        so_far.events,
        so_far.unpriced,
        grown(so_far.priced_nano_usd),
        {meter: grown(amount) for meter, amount in so_far.meters.items()},
    )
