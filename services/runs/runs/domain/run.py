"""The run and its parts.

    queued ──► running ──► completed | failed | cancelled
      ▲  ▲        │
      │  └ reaper ┤
      │           ▼
      └──── requires_action

A final state never changes. Each attempt is one lease of the run by a worker; its number is the fencing token. Within
an attempt, calls follow each other: the first try, retries, fallbacks, the repair of a structured output.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from services.runs.domain.request import Message, ToolCall
from shared.meters import Meter, Meters, total
from shared.stored import Stored


class Status(StrEnum):
    """The states of a run."""

    QUEUED = "queued"
    RUNNING = "running"
    REQUIRES_ACTION = "requires_action"
    """The client has to execute tools; nothing is leased or reserved meanwhile."""
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """Whether it never changes any more."""
        return self in {Status.COMPLETED, Status.FAILED, Status.CANCELLED}

    @property
    def is_under_way(self) -> bool:
        """Whether it goes on without its client."""
        return self in {Status.QUEUED, Status.RUNNING}


class Outcome(StrEnum):
    """How an attempt or a call stands."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    REQUIRES_ACTION = "requires_action"
    LOST = "lost"
    """Its worker is gone."""


@dataclass(frozen=True, slots=True)
class CallId:
    """Which call of which run; its budget is reserved and its usage told under it."""

    run_id: str
    attempt: int
    number: int
    """Within the attempt, from 1."""

    @property
    def is_first(self) -> bool:
        """Whether it is the run's first call, which carries the run's one request."""
        return self.attempt == self.number == 1

    def __str__(self) -> str:
        return f"{self.run_id}:{self.attempt}:{self.number}"


class LimitedBy(StrEnum):
    """What made the output cap of a call smaller than it would have been."""

    BUDGET = "budget"
    """The tokens that were left of the month's limit."""
    MAX_COST = "max_cost"
    """What was left of the run's `max_cost_usd`."""


@dataclass(frozen=True, slots=True)
class OpenCall:
    """A call that is written down, and may have been sent."""

    number: int
    """Within the run's attempt, from 1."""
    provider: str
    model: str
    simulated: bool
    bound_tokens: int
    """More than it can use, all that is sent and the output cap: so much is reserved for it."""
    max_output_tokens: int
    period: str
    """The month of its reservation, in which it is counted, `2026-11`."""
    bound_nano_usd: int | None = None
    """More than it can cost; None in a run without a limit of cost."""
    limited_by: LimitedBy | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """One request to a provider, ended and counted by itself."""

    number: int
    provider: str
    model: str
    simulated: bool
    status: Outcome
    meters: Meters
    cost_nano_usd: int | None
    price_version: str | None
    error_code: str | None
    period: str
    """The month that it is counted in."""
    started_at: datetime
    ended_at: datetime
    bound_nano_usd: int | None = None
    limited_by: LimitedBy | None = None

    @property
    def usage_certain(self) -> bool:
        """Whether the provider's own count of it is known."""
        return not self.meters.get(Meter.TOKENS_UNCERTAIN)

    @property
    def is_unpriced(self) -> bool:
        """Whether it has used something and the table of prices does not have its model."""
        return any(self.meters.values()) and self.cost_nano_usd is None and self.price_version is not None

    @property
    def spent_tokens(self) -> int:
        """What it takes from the budget: what was counted, and what nobody can know."""
        counts = (Meter.TOKENS_IN, Meter.TOKENS_OUT, Meter.TOKENS_UNCERTAIN)
        return sum(self.meters.get(meter, 0) for meter in counts)

    @property
    def spent_nano_usd(self) -> int:
        """What it takes from the run's limit of cost: its cost, or its bound where that is not certain."""
        certain = self.cost_nano_usd if self.usage_certain else None
        return certain if certain is not None else self.bound_nano_usd or 0


@dataclass(frozen=True, slots=True)
class Attempt:
    """One lease of the run by a worker."""

    outcome: Outcome
    leased_at: datetime
    ended_at: datetime | None = None
    """For one whose worker was lost: when that was found out."""
    calls: tuple[Call, ...] = ()

    @property
    def usage_certain(self) -> bool:
        """Whether the provider's own counts are known for every call."""
        return all(call.usage_certain for call in self.calls)


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
    max_output_tokens: int | None
    """As the run's request asked for; None: the config's, or the default."""
    max_cost_nano_usd: int | None
    """What all its calls together may cost; None: anything."""
    request_id: str
    """Of the POST that made it; it stands in every usage event of the run."""
    created_at: datetime
    due_at: datetime | None
    """When the reaper looks at it: not leased until then, or the lease ran out. None: it is final, or waits for a
    slot."""
    queued_at: tuple[datetime, ...]
    """When each attempt began to wait for a worker."""
    plan: str = ""
    """The tenant's when it was made; by it metrics are split."""
    trace_id: str = ""
    """The trace that its POST belongs to, as X-Ray writes it; all that becomes of the run belongs to it too."""
    artifacts: Mapping[str, int] = field(default_factory=dict[str, int])
    """The bytes of what lies in the bucket, by its name."""
    slot_period: str | None = None
    """The month in which it holds one of its tenant's slots; None: it does not execute."""
    published_at: datetime | None = None
    """When it was put into the workers' queue; None: it was not, or a worker has given it back."""
    publications: int = 0
    """How often it was put there again since, because no worker took it."""
    seq: int = 1
    """Raised by every write that a client can see."""
    attempts: tuple[Attempt, ...] = ()
    open_call: OpenCall | None = None
    """In a queued run the first call, planned with the run; in a running one the call that may have been sent."""
    call_started_at: datetime | None = None
    cancel_requested: bool = False
    turns: tuple[Message, ...] = ()
    """What was said after the inputs: the model's calls of tools and their outputs."""
    output: Mapping[str, Any] | None = None
    error: RunError | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def waits_for_slot(self) -> bool:
        """Whether it is queued in its tenant's own queue, and no worker may take it yet."""
        return self.status is Status.QUEUED and self.due_at is None

    @property
    def attempt(self) -> int:
        """The fencing token: the number of the attempt that has the run, or had it last."""
        return len(self.attempts)

    @property
    def calls(self) -> tuple[Call, ...]:
        """All calls that have ended."""
        return tuple(call for attempt in self.attempts for call in attempt.calls)

    @property
    def ended_calls(self) -> tuple[tuple[CallId, Call], ...]:
        """The same, each with its id."""
        attempts = enumerate(self.attempts, start=1)
        return tuple(
            (CallId(self.run_id, number, call.number), call) for number, attempt in attempts for call in attempt.calls
        )

    @property
    def open_call_id(self) -> CallId | None:
        """Which call is open; in a queued run it will be the next attempt's."""
        if self.open_call is None:
            return None
        return CallId(self.run_id, self.attempt + (self.status is Status.QUEUED), self.open_call.number)

    def ended_call(self, call: CallId) -> Call | None:
        """This call as it ended; None when it has not."""
        attempts = self.attempts[call.attempt - 1 : call.attempt]
        calls = (ended for attempt in attempts for ended in attempt.calls)
        return next((ended for ended in calls if ended.number == call.number), None)

    @property
    def left_nano_usd(self) -> int | None:
        """What its calls may still cost; None: anything."""
        if self.max_cost_nano_usd is None:
            return None
        return self.max_cost_nano_usd - sum(call.spent_nano_usd for call in self.calls)

    @property
    def limited_by(self) -> LimitedBy | None:
        """What first made an answer's cap smaller than it would have been."""
        planned = (*self.calls, *filter(None, [self.open_call]))
        return next((call.limited_by for call in planned if call.limited_by), None)

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

    @property
    def simulated(self) -> bool:
        """Whether any part of it was answered by the built-in provider."""
        return any(call.simulated for call in self.calls) or bool(self.open_call and self.open_call.simulated)

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """What the client has to execute."""
        return self.turns[-1].tool_calls if self.status is Status.REQUIRES_ACTION else ()


@dataclass(frozen=True, slots=True)
class Cost:
    """What a call costs by its provider's list price."""

    nano_usd: int | None = None
    """None: it is not known."""
    price_version: str | None = None
    """Of the price table; None: no table was asked."""

    @property
    def is_missing(self) -> bool:
        """The table should have the model's price, and does not."""
        return self.nano_usd is None and self.price_version is not None


NOTHING_USED = Cost(nano_usd=0)


@dataclass(frozen=True, slots=True)
class CallEnd:
    """How a call ended, as its worker saw it."""

    status: Outcome
    meters: Meters = field(default_factory=dict[Meter, int])
    """What the provider has counted."""
    usage_known: bool = True
    """False: it may have used up to its bound."""
    cost: Cost = Cost()
    error: RunError | None = None
