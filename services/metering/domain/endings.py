"""How runs end: what is counted of it, by day and agent."""

from collections.abc import Iterable
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


def raised_by(endings: Iterable[Ending]) -> dict[tuple[date, str], Endings]:
    """What these add to the counters of days and agents."""
    raised: dict[tuple[date, str], Endings] = {}
    for ending in endings:
        counter = (ending.day, ending.agent_id)
        raised[counter] = raised.get(counter, Endings()).plus(ending.amounts)
    return raised
