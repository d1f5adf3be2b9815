"""How runs end: what is counted of it, by day and agent."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, timedelta
from enum import StrEnum

from services.metering.domain.durations import Durations
from shared.events.envelope import Event
from shared.events.runs import RunCancelled, RunCompleted, RunEnded, RunFailed


class Outcome(StrEnum):
    """How a run ended."""

    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


_OUTCOMES: dict[type[RunEnded], Outcome] = {
    RunCompleted: Outcome.COMPLETED,
    RunFailed: Outcome.FAILED,
    RunCancelled: Outcome.CANCELLED,
}


@dataclass(frozen=True, slots=True)
class Endings:
    """How many runs ended how."""

    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    durations: Durations = field(default_factory=Durations)
    """Of those that completed, each from the request to the answer; waiting for its turn and for tools is in it."""

    def plus(self, other: "Endings") -> "Endings":
        """Both together."""
        return Endings(
            self.completed + other.completed,
            self.failed + other.failed,
            self.cancelled + other.cancelled,
            self.durations.plus(other.durations),
        )

    @property
    def error_rate_basis_points(self) -> int | None:
        """Failed runs in 1/100 percent of those that were not cancelled, rounded; None when there are none."""
        ended = self.completed + self.failed
        return (self.failed * 10_000 + ended // 2) // ended if ended else None


@dataclass(frozen=True, slots=True)
class Ending:
    """The end of one run, which happens once."""

    event_id: str
    agent_id: str
    day: date
    """In UTC, when it ended."""
    outcome: Outcome
    duration_ms: int

    @property
    def amounts(self) -> Endings:
        """What it adds to a counter."""
        if self.outcome is Outcome.COMPLETED:
            return Endings(completed=1, durations=Durations.of(self.duration_ms))
        return Endings(failed=1) if self.outcome is Outcome.FAILED else Endings(cancelled=1)


def ending_of(event: Event[RunEnded]) -> Ending:
    """What an event says."""
    said = event.data
    lasted = (said.ended_at - said.created_at) // timedelta(milliseconds=1)
    return Ending(
        event_id=event.id,
        agent_id=said.agent_id,
        day=said.ended_at.astimezone(UTC).date(),
        outcome=_OUTCOMES[type(said)],
        duration_ms=max(0, lasted),
    )


Row = tuple[date, str]
"""A day and an agent."""

MAX_AGENTS_PER_SHARD = 250
"""Agents whose runs one shard of a day counts by themselves: with four shards 1,000 a tenant and day. Runs of further
agents are counted under `OTHER_AGENT`, which is not one of them."""
OTHER_AGENT = "other"


@dataclass(frozen=True, slots=True)
class EndingRows:
    """The rows that count some endings."""

    agents: Mapping[Row, str] = field(default_factory=dict[Row, str])
    """By the day and agent of an ending, the agent whose row counts it; its own where nothing is here."""
    new: frozenset[Row] = frozenset()
    """Those of these rows that do not exist yet, without `OTHER_AGENT`."""


def rows_of(endings: Iterable[Ending]) -> list[Row]:
    """Return the rows that these endings would raise if each agent had one, in their order."""
    return list(dict.fromkeys((ending.day, ending.agent_id) for ending in endings))


def allot(wanted: Iterable[Row], *, existing: Collection[Row], sizes: Mapping[date, int]) -> EndingRows:
    """Choose the rows that count endings: those that exist, new ones while there is room, or `OTHER_AGENT`.

    Args:
        wanted: see `rows_of`.
        existing: those of them that are stored.
        sizes: by day, how many rows its shard has.
    """
    agents: dict[Row, str] = {}
    added: dict[date, list[Row]] = {}
    for row in wanted:
        day, agent_id = row
        new = added.setdefault(day, [])
        if row in existing or agent_id == OTHER_AGENT:
            continue
        if sizes.get(day, 0) + len(new) < MAX_AGENTS_PER_SHARD:
            new.append(row)
        else:
            agents[row] = OTHER_AGENT
    return EndingRows(agents, frozenset(row for new in added.values() for row in new))


def raised_by(endings: Iterable[Ending], rows: EndingRows | None = None) -> dict[Row, Endings]:
    """What these add to the counters of days and agents."""
    agents = (rows or EndingRows()).agents
    raised: dict[Row, Endings] = {}
    for ending in endings:
        own = (ending.day, ending.agent_id)
        counter = (ending.day, agents.get(own, ending.agent_id))
        raised[counter] = raised.get(counter, Endings()).plus(ending.amounts)
    return raised
