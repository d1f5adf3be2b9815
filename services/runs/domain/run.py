"""The run and its parts.

    queued ──► running ──► completed | failed
      ▲           │
      └── reaper ─┘

A final state never changes. Each attempt is one lease of the run by a worker; its number is the fencing token.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from shared.meters import Meter, Meters, total
from shared.stored import Stored


class Status(StrEnum):
    """The states of a run."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"

    @property
    def final(self) -> bool:
        """Whether it never changes any more."""
        return self in {Status.COMPLETED, Status.FAILED}


class Outcome(StrEnum):
    """How an attempt or a call stands."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    LOST = "lost"
    """Its worker is gone; nobody knows what the call has used."""


@dataclass(frozen=True, slots=True)
class PlannedCall:
    """A call as it will be sent."""

    provider: str
    model: str
    simulated: bool
    bound_tokens: int
    """More than it can use: the UTF-8 bytes of everything that is sent, plus the output cap."""
    max_output_tokens: int


@dataclass(frozen=True, slots=True)
class Call:
    """One request to a provider, counted by itself."""

    attempt: int
    call: int
    provider: str
    model: str
    simulated: bool
    status: Outcome
    meters: Meters
    cost_nano_usd: int | None
    started_at: datetime
    ended_at: datetime


@dataclass(frozen=True, slots=True)
class Attempt:
    """One lease of the run, ended."""

    attempt: int
    outcome: Outcome
    calls: tuple[Call, ...]

    @property
    def usage_certain(self) -> bool:
        """Whether the provider's own counts are known for every call."""
        return all(call.status is not Outcome.LOST for call in self.calls)


@dataclass(frozen=True, slots=True)
class RunError:
    """Why a run failed."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of one agent version."""

    run_id: str
    tenant_id: str
    status: Status
    agent_id: str
    version: int
    project_id: str | None
    config: Stored
    """Where the version's config lies."""
    inputs: Mapping[str, Any]
    metadata: Mapping[str, Any]
    first_call: PlannedCall
    request_id: str
    """Of the POST that made it; it stands in every usage event of the run."""
    created_at: datetime
    due_at: datetime | None
    """When the reaper looks at it: not leased until then, or the lease ran out. None: it is final."""
    seq: int = 1
    attempt: int = 0
    """The fencing token: of the attempt that has the run, or had it last."""
    call_started_at: datetime | None = None
    """Of the open call, which is written before the call is sent."""
    attempts: tuple[Attempt, ...] = ()
    output: Mapping[str, Any] | None = None
    error: RunError | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def calls(self) -> tuple[Call, ...]:
        """All calls that have ended."""
        return tuple(call for attempt in self.attempts for call in attempt.calls)

    @property
    def usage(self) -> dict[Meter, int]:
        """What all its calls used together."""
        return total(*(call.meters for call in self.calls))

    @property
    def cost_nano_usd(self) -> int | None:
        """The cost of all its calls; None as soon as one of them is not known."""
        costs = [call.cost_nano_usd for call in self.calls]
        known = [cost for cost in costs if cost is not None]
        return sum(known) if len(known) == len(costs) > 0 else None


@dataclass(frozen=True, slots=True)
class ModelAnswer:
    """What a provider has answered and counted."""

    message: str
    meters: Meters = field(default_factory=dict[Meter, int])
