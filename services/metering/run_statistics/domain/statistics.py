"""Statistics of finished runs, by day and agent."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, timedelta
from enum import StrEnum

from services.metering.run_statistics.domain.durations import Durations
from shared.events.envelope import Event
from shared.events.runs import RunCancelled, RunCompleted, RunEnded, RunFailed


class FinalStatus(StrEnum):
    """The final status of a run."""

    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


_STATUSES: dict[type[RunEnded], FinalStatus] = {
    RunCompleted: FinalStatus.COMPLETED,
    RunFailed: FinalStatus.FAILED,
    RunCancelled: FinalStatus.CANCELLED,
}


@dataclass(frozen=True, slots=True)
class RunStatistics:
    """The number of runs by final status, and the durations of completed runs."""

    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    durations: Durations = field(default_factory=Durations)
    """Durations of completed runs, each from request to response, including the time in the queue and in tools."""

    def plus(self, other: "RunStatistics") -> "RunStatistics":
        """Return the sum of both."""
        return RunStatistics(
            self.completed + other.completed,
            self.failed + other.failed,
            self.cancelled + other.cancelled,
            self.durations.plus(other.durations),
        )

    @property
    def error_rate_basis_points(self) -> int | None:
        """Failed runs as a share of those not cancelled, in 1/100 percent, rounded; None if there are none."""
        ended = self.completed + self.failed
        return (self.failed * 10_000 + ended // 2) // ended if ended else None


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """The end of one run, which occurs once."""

    event_id: str
    agent_id: str
    day: date
    """The day in UTC on which the run ended."""
    status: FinalStatus
    duration_ms: int

    @property
    def amounts(self) -> RunStatistics:
        """The amounts that this run adds to a counter."""
        if self.status is FinalStatus.COMPLETED:
            return RunStatistics(completed=1, durations=Durations.of(self.duration_ms))
        return RunStatistics(failed=1) if self.status is FinalStatus.FAILED else RunStatistics(cancelled=1)


def finished_run_from_event(event: Event[RunEnded]) -> FinishedRun:
    """Return the end of the run that an event reports. A negative duration becomes 0."""
    payload = event.data
    elapsed_ms = (payload.ended_at - payload.created_at) // timedelta(milliseconds=1)
    return FinishedRun(
        event_id=event.id,
        agent_id=payload.agent_id,
        day=payload.ended_at.astimezone(UTC).date(),
        status=_STATUSES[type(payload)],
        duration_ms=max(0, elapsed_ms),
    )


DayAndAgent = tuple[date, str]
"""A day and an agent."""

MAX_AGENTS_PER_SHARD = 250
"""The limit of agents that one shard of a day counts separately: with four shards, 1,000 per tenant and day. Runs of
further agents are counted as `OTHER_AGENT`, which does not count toward the limit."""
OTHER_AGENT = "other"


@dataclass(frozen=True, slots=True)
class AssignedRows:
    """The rows that count finished runs."""

    agents: Mapping[DayAndAgent, str] = field(default_factory=dict[DayAndAgent, str])
    """The agent whose row counts a run, by the day and agent of the run. A missing key means the run's own agent."""
    new: frozenset[DayAndAgent] = frozenset()
    """The rows that do not exist yet, except `OTHER_AGENT`."""


def candidate_rows(runs: Iterable[FinishedRun]) -> list[DayAndAgent]:
    """Return the rows that these runs would increment without a limit of agents, in the order of the runs."""
    return list(dict.fromkeys((run.day, run.agent_id) for run in runs))


def assign_rows(
    candidates: Iterable[DayAndAgent], *, existing: Collection[DayAndAgent], sizes: Mapping[date, int]
) -> AssignedRows:
    """Choose the rows that count finished runs: existing rows, new rows while there is room, or `OTHER_AGENT`.

    Args:
        candidates: the rows that `candidate_rows` returned.
        existing: those of them that are stored.
        sizes: the number of rows in the shard of each day.
    """
    agents: dict[DayAndAgent, str] = {}
    added: dict[date, list[DayAndAgent]] = {}
    for row in candidates:
        day, agent_id = row
        new = added.setdefault(day, [])
        if row in existing or agent_id == OTHER_AGENT:
            continue
        if sizes.get(day, 0) + len(new) < MAX_AGENTS_PER_SHARD:
            new.append(row)
        else:
            agents[row] = OTHER_AGENT
    return AssignedRows(agents, frozenset(row for new in added.values() for row in new))


def increments_of(runs: Iterable[FinishedRun], rows: AssignedRows | None = None) -> dict[DayAndAgent, RunStatistics]:
    """Return the amounts that these runs add to the counters of days and agents."""
    agents = (rows or AssignedRows()).agents
    sums: dict[DayAndAgent, RunStatistics] = {}
    for run in runs:
        own = (run.day, run.agent_id)
        counter = (run.day, agents.get(own, run.agent_id))
        sums[counter] = sums.get(counter, RunStatistics()).plus(run.amounts)
    return sums
