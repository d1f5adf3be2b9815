"""The run and its parts.

    queued ──► running ──► completed | failed | cancelled
      ▲  ▲        │
      │  └ reaper ┤
      │           ▼
      └──── requires_action

A final state never changes. Each attempt is one lease of the run by a worker; its number is the fencing token. The
calls of an attempt are sequential: the first request, retries, fallbacks, the repair of a structured output.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from services.runs.runs.domain.conversation import Message, ToolCall
from shared.document_ref import DocumentRef
from shared.meters import Meter, Meters, total

OWN_PRICE_VERSION = "own"
"""The price version that marks a cost by the tenant's own price."""


class Status(StrEnum):
    """The states of a run."""

    QUEUED = "queued"
    RUNNING = "running"
    REQUIRES_ACTION = "requires_action"
    """The client must execute tools; nothing is leased or reserved meanwhile."""
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """Whether the state can no longer change."""
        return self in {Status.COMPLETED, Status.FAILED, Status.CANCELLED}

    @property
    def is_under_way(self) -> bool:
        """Whether the run proceeds without its client."""
        return self in {Status.QUEUED, Status.RUNNING}


class Outcome(StrEnum):
    """The state of an attempt or a call."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    REQUIRES_ACTION = "requires_action"
    LOST = "lost"
    """Its worker died or lost the lease."""


@dataclass(frozen=True, slots=True)
class CallId:
    """The identity of one call, under which its budget is reserved and its usage is published."""

    run_id: str
    attempt: int
    number: int
    """The number within the attempt, from 1."""

    @property
    def is_first(self) -> bool:
        """Whether it is the run's first call, which carries the run's one request."""
        return self.attempt == self.number == 1

    def __str__(self) -> str:
        return f"{self.run_id}:{self.attempt}:{self.number}"


class LimitedBy(StrEnum):
    """The limit that reduced the output cap of a call."""

    BUDGET = "budget"
    """The remaining tokens of the month's limit."""
    MAX_COST = "max_cost"
    """The remainder of the run's `max_cost_usd`."""


class FinishReason(StrEnum):
    """The reason why a model's answer ended."""

    STOP = "stop"
    """The answer is complete."""
    LENGTH = "length"
    """The output cap was reached; `limited_by` shows whether a limit has reduced it."""
    TOOL_CALLS = "tool_calls"
    """The model requests tools."""
    CONTENT_FILTER = "content_filter"
    """The model or its provider refused to answer."""
    CANCELLED = "cancelled"
    """The client has cancelled."""


@dataclass(frozen=True, slots=True)
class OpenCall:
    """A call that is recorded and may have been sent."""

    number: int
    """The number within the run's attempt, from 1."""
    provider: str
    model: str
    simulated: bool
    bound_tokens: int
    """The upper bound of its usage, input and output cap together, which is reserved for it."""
    max_output_tokens: int
    period: str
    """The month of its reservation, in which its usage is counted, such as `2026-11`."""
    bound_nano_usd: int | None = None
    """The upper bound of its cost; None in a run without a cost limit."""
    limited_by: LimitedBy | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """An ended request to a provider, with its own usage."""

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
    """The month in which its usage is counted."""
    started_at: datetime
    ended_at: datetime
    bound_nano_usd: int | None = None
    limited_by: LimitedBy | None = None
    omitted: tuple[str, ...] = ()
    """The configured parameters that were left out because the model refuses them."""
    finish_reason: FinishReason | None = None
    """None: the call has failed or was lost."""
    usage_estimated: bool = False
    """Whether its output tokens are estimated from the text that was received."""

    @property
    def usage_certain(self) -> bool:
        """Whether the provider's final usage count is known."""
        return not self.meters.get(Meter.TOKENS_UNCERTAIN)

    @property
    def is_unpriced(self) -> bool:
        """Whether it has usage but no cost, because the price table lacks its model."""
        return any(self.meters.values()) and self.cost_nano_usd is None and self.price_version is not None

    @property
    def price_source(self) -> Literal["list", "own"] | None:
        """The price behind the cost; None if the cost is unknown or nothing was used."""
        if self.cost_nano_usd is None or self.price_version is None:
            return None
        return "own" if self.price_version == OWN_PRICE_VERSION else "list"

    @property
    def spent_tokens(self) -> int:
        """The tokens deducted from the budget: the counted and the uncertain ones."""
        counts = (Meter.TOKENS_IN, Meter.TOKENS_OUT, Meter.TOKENS_UNCERTAIN)
        return sum(self.meters.get(meter, 0) for meter in counts)

    @property
    def spent_nano_usd(self) -> int:
        """The amount deducted from the run's cost limit: the cost, or the bound if the cost is not certain."""
        certain = self.cost_nano_usd if self.usage_certain else None
        return certain if certain is not None else self.bound_nano_usd or 0


@dataclass(frozen=True, slots=True)
class Attempt:
    """One lease of the run by a worker."""

    outcome: Outcome
    leased_at: datetime
    ended_at: datetime | None = None
    """For an attempt that lost its worker, the time at which this was detected."""
    calls: tuple[Call, ...] = ()

    @property
    def usage_certain(self) -> bool:
        """Whether the usage of every call is certain."""
        return all(call.usage_certain for call in self.calls)


@dataclass(frozen=True, slots=True)
class InvalidOutput:
    """The raw text of an answer that does not conform to the response schema."""

    text: str
    """At most 16 KB in UTF-8."""
    is_truncated: bool
    reason: str
    """The validation error."""


@dataclass(frozen=True, slots=True)
class RunError:
    """The reason why a run failed."""

    code: str
    message: str
    output: InvalidOutput | None = None
    """The answer that failed the run."""

    def to_fields(self) -> dict[str, Any]:
        """Return the fields of the error in responses."""
        fields: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.output:
            output = self.output
            fields["details"] = {"output": output.text, "truncated": output.is_truncated, "reason": output.reason}
        return fields


@dataclass(frozen=True, slots=True)
class TrialRef:
    """The trial of an experiment that a run executes. Its calls have their full output cap, or are refused."""

    experiment_id: str
    number: int
    max_tokens: int | None
    """The tokens that the experiment holds for it, which its calls together do not exceed; None: unlimited."""


@dataclass(frozen=True, slots=True)
class RunRequest:
    """A request to create a run."""

    run_id: str
    agent_id: str
    version: int | None
    """None: the live version."""
    inputs: Mapping[str, Any]
    metadata: Mapping[str, Any]
    max_output_tokens: int | None
    max_cost_nano_usd: int | None
    request_id: str
    trace_id: str
    waited: bool
    """Whether its client waits, so that a worker is invoked for it."""
    parameters: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """The parameters of the model that replace those of the config."""
    trial: TrialRef | None = None
    pinned: "PinnedVersion | None" = None
    """The version with its config, for a run that was pinned before."""


@dataclass(frozen=True, slots=True)
class PinnedPrompt:
    """The version of the prompt that is the system prompt of a run."""

    prompt_id: str
    version: int
    template: DocumentRef
    """The reference to the version's template."""


@dataclass(frozen=True, slots=True)
class PinnedVersion:
    """The version of the agent that a run executes."""

    version: int
    config: DocumentRef
    project_id: str | None
    """The agent's project."""
    prompt: PinnedPrompt | None = None
    """None: the system prompt is a text in the config."""


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of one agent version."""

    run_id: str
    tenant_id: str
    status: Status
    agent_id: str
    version: int
    project_id: str | None
    config: DocumentRef
    """The reference to the version's config."""
    inputs: Mapping[str, Any]
    metadata: Mapping[str, Any]
    max_output_tokens: int | None
    """The cap in the run's request; None: the config's, or the default."""
    max_cost_nano_usd: int | None
    """The maximum cost of all its calls together; None: unlimited."""
    request_id: str
    """The id of the POST request that created the run; every usage event of the run contains it."""
    created_at: datetime
    due_at: datetime | None
    """The time at which the reaper handles the run, because no worker has leased it or the lease has expired. None:
    the run has ended or waits for a slot."""
    queued_at: tuple[datetime, ...]
    """The times at which each attempt began to wait for a worker."""
    parameters: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """The parameters of the model that replace those of the config."""
    prompt: PinnedPrompt | None = None
    """The version of the prompt that is the system prompt; None: it is a text in the config."""
    plan: str = ""
    """The tenant's plan at the creation of the run, a dimension of metrics."""
    trace_id: str = ""
    """The X-Ray trace id of the POST request, which the run's events and calls continue."""
    trial: TrialRef | None = None
    """The trial that it executes; None: it belongs to no experiment."""
    artifacts: Mapping[str, int] = field(default_factory=dict[str, int])
    """The sizes, in bytes, of the payloads that are stored in the bucket, by name."""
    slot_period: str | None = None
    """The month in which it holds one of its tenant's slots; None: it holds none."""
    published_at: datetime | None = None
    """The time at which it was put into the workers' queue; None: it was not, or a worker has returned its lease."""
    publications: int = 0
    """The number of times that it was queued again since, because no worker leased it."""
    seq: int = 1
    """The version of the run, incremented by every write that a client can see."""
    attempts: tuple[Attempt, ...] = ()
    moved_attempts: int = 0
    """The number of first attempts whose calls are stored beside the run. The state of a run lacks these calls."""
    open_call: OpenCall | None = None
    """The planned first call of a queued run, or the call of a running one that may have been sent."""
    call_started_at: datetime | None = None
    cancel_requested: bool = False
    turns: tuple[Message, ...] = ()
    """The turns after the inputs: the model's tool calls and their outputs."""
    output: Mapping[str, Any] | None = None
    error: RunError | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def waits_for_slot(self) -> bool:
        """Whether it is queued in its tenant's own queue, so that no worker may lease it yet."""
        return self.status is Status.QUEUED and self.due_at is None

    @property
    def attempt(self) -> int:
        """The fencing token: the number of the current or last attempt."""
        return len(self.attempts)

    @property
    def calls(self) -> tuple[Call, ...]:
        """All ended calls."""
        return tuple(call for attempt in self.attempts for call in attempt.calls)

    @property
    def has_ended_call(self) -> bool:
        """Whether any call has ended; correct even for a state that lacks the calls of its first attempts."""
        return self.moved_attempts > 0 or bool(self.calls)

    @property
    def template(self) -> DocumentRef | None:
        """The reference to the template of the system prompt; None if it is a text in the config."""
        return self.prompt.template if self.prompt else None

    @property
    def ended_calls(self) -> tuple[tuple[CallId, Call], ...]:
        """All ended calls with their ids."""
        attempts = enumerate(self.attempts, start=1)
        return tuple(
            (CallId(self.run_id, number, call.number), call) for number, attempt in attempts for call in attempt.calls
        )

    @property
    def open_call_id(self) -> CallId | None:
        """The id of the open call; in a queued run it belongs to the next attempt."""
        if self.open_call is None:
            return None
        return CallId(self.run_id, self.attempt + (self.status is Status.QUEUED), self.open_call.number)

    def ended_call(self, call: CallId) -> Call | None:
        """Return this call if it has ended, else None."""
        attempts = self.attempts[call.attempt - 1 : call.attempt]
        calls = (ended for attempt in attempts for ended in attempt.calls)
        return next((ended for ended in calls if ended.number == call.number), None)

    @property
    def left_tokens(self) -> int | None:
        """The tokens that further calls may use; None: unlimited."""
        if self.trial is None or self.trial.max_tokens is None:
            return None
        return self.trial.max_tokens - sum(call.spent_tokens for call in self.calls)

    @property
    def left_nano_usd(self) -> int | None:
        """The amount that further calls may cost; None: unlimited."""
        if self.max_cost_nano_usd is None:
            return None
        return self.max_cost_nano_usd - sum(call.spent_nano_usd for call in self.calls)

    @property
    def limited_by(self) -> LimitedBy | None:
        """The limit that first reduced the output cap of a call, if any."""
        planned = (*self.calls, *filter(None, [self.open_call]))
        return next((call.limited_by for call in planned if call.limited_by), None)

    @property
    def omitted(self) -> tuple[tuple[str, str], ...]:
        """The models of its ended calls with the parameters that each refuses, without repetitions."""
        return tuple(dict.fromkeys((call.model, parameter) for call in self.calls for parameter in call.omitted))

    @property
    def finish_reason(self) -> FinishReason | None:
        """The reason why the last answer ended; None while the run is under way, or if the last call failed."""
        if self.status is Status.CANCELLED:
            return FinishReason.CANCELLED
        if self.status.is_under_way or not self.calls:
            return None
        return self.calls[-1].finish_reason

    @property
    def usage(self) -> dict[Meter, int]:
        """The total usage of all ended calls."""
        return total(*(call.meters for call in self.calls))

    @property
    def cost_nano_usd(self) -> int | None:
        """The total cost of all ended calls; None if any cost is unknown or no call has ended."""
        costs = [call.cost_nano_usd for call in self.calls]
        known = [cost for cost in costs if cost is not None]
        return sum(known) if len(known) == len(costs) > 0 else None

    @property
    def simulated(self) -> bool:
        """Whether the built-in provider answered any call."""
        return any(call.simulated for call in self.calls) or bool(self.open_call and self.open_call.simulated)

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The tool calls that the client must execute; empty in a list, where large turns are not read."""
        return self.turns[-1].tool_calls if self.turns and self.status is Status.REQUIRES_ACTION else ()


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of a call by its provider's list price."""

    nano_usd: int | None = None
    """None: unknown."""
    price_version: str | None = None
    """The version of the price table; None: no price table applies."""

    @property
    def is_missing(self) -> bool:
        """Whether the table should have the model's price, but lacks it."""
        return self.nano_usd is None and self.price_version is not None


NOTHING_USED = Cost(nano_usd=0)


@dataclass(frozen=True, slots=True)
class CallEnd:
    """The end of a call, as its worker observed it."""

    status: Outcome
    meters: Meters = field(default_factory=dict[Meter, int])
    """The usage that the provider has counted."""
    usage_known: bool = True
    """False: the call may have used up to its bound."""
    cost: Cost = Cost()
    error: RunError | None = None
    omitted: tuple[str, ...] = ()
    """The configured parameters that were left out because the model refuses them."""
    finish_reason: FinishReason | None = None
    usage_estimated: bool = False
