"""What runs look like in requests and answers."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from services.runs.domain import run as domain
from services.runs.domain.lifecycle import MAX_TOOL_CALLS
from shared.freejson import FreeText
from shared.http.answers import Answer, ListAnswer
from shared.http.pagination import PageQuery
from shared.ids import pattern
from shared.meters import Meter
from shared.times import Rfc3339

Text = Annotated[FreeText, Field(min_length=1)]
MAX_VERSION = 9_999_999
"""The sort key of an agent's version has seven digits."""
Moment = Annotated[AwareDatetime, Field(ge=datetime(1970, 1, 1, tzinfo=UTC), le=datetime(9000, 1, 1, tzinfo=UTC))]
"""A moment that can be converted to any time zone."""


class ConversationMessage(BaseModel):
    """One message of a conversation."""

    model_config = ConfigDict(extra="forbid", strict=True)

    role: Literal["user", "assistant"]
    content: Text


class Inputs(BaseModel):
    """What the agent is asked: one message, or a conversation that ends with the user's."""

    model_config = ConfigDict(extra="forbid", strict=True)

    message: Text | None = None
    messages: Annotated[list[ConversationMessage], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.message is None) == (self.messages is None):
            msg = "give either message or messages"
            raise ValueError(msg)
        if self.messages and self.messages[-1].role != "user":
            msg = "the last message must be the user's"
            raise ValueError(msg)
        return self


class NewRun(BaseModel):
    """What to run."""

    model_config = ConfigDict(extra="forbid", strict=True)

    agent_id: Annotated[str, Field(pattern=pattern("agt"))]
    version: Annotated[int, Field(ge=1, le=MAX_VERSION)] | None = None
    """The live one, unless given."""
    inputs: Inputs
    max_output_tokens: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    max_cost_usd: Annotated[Decimal, Field(strict=False, gt=0, le=1_000_000, decimal_places=9)] | None = None
    """What all its calls together may cost by the providers' list prices."""
    metadata: Annotated[dict[str, str], Field(max_length=50)] = {}


class Usage(BaseModel):
    """What all calls of the run used."""

    tokens_in: int = 0
    tokens_out: int = 0
    tokens_cache_read: int = 0
    tokens_cache_write: int = 0
    tokens_reasoning: int = 0
    tokens_uncertain: int = 0
    """The bound of what calls may have used whose worker was lost."""
    compute_ms: int = 0


class Call(BaseModel):
    """One request to a provider."""

    call: int
    provider: str
    model: str
    simulated: bool
    status: str
    usage: Usage
    cost_nano_usd: int | None
    error_code: str | None
    started_at: Rfc3339
    ended_at: Rfc3339


class Attempt(BaseModel):
    """One lease of the run by a worker."""

    attempt: int
    outcome: str
    usage_certain: bool
    calls: list[Call]


class Failure(BaseModel):
    """Why the run failed."""

    code: str
    message: str


class ToolCall(BaseModel):
    """The model asks for a tool."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    name: str
    arguments: str
    """JSON, as the model wrote it."""


class RequiredAction(BaseModel):
    """What the client has to do before the run goes on."""

    tool_calls: list[ToolCall]


class Run(BaseModel):
    """One execution of one agent version."""

    run_id: str
    status: domain.Status
    agent_id: str
    version: int
    project_id: str | None
    inputs: dict[str, Any]
    output: dict[str, Any] | None
    required_action: RequiredAction | None
    """What the client has to execute, in a run that requires action."""
    usage: Usage
    cost_nano_usd: int | None
    """The provider's list price; null where it is not known."""
    limited_by: domain.LimitedBy | None
    """What made the output cap smaller than it would have been: the month's budget, or `max_cost_usd`."""
    simulated: bool
    error: Failure | None
    attempts: list[Attempt]
    metadata: dict[str, str]
    created_at: Rfc3339
    started_at: Rfc3339 | None
    ended_at: Rfc3339 | None

    @classmethod
    def of(cls, run: domain.Run) -> Self:
        """As it is shown."""
        return cls(
            run_id=run.run_id,
            status=run.status,
            agent_id=run.agent_id,
            version=run.version,
            project_id=run.project_id,
            inputs=dict(run.inputs),
            output=dict(run.output) if run.output is not None else None,
            required_action=_required_action(run),
            usage=_usage(run.usage),
            cost_nano_usd=run.cost_nano_usd,
            limited_by=run.limited_by,
            simulated=run.simulated,
            error=Failure(code=run.error.code, message=run.error.message) if run.error else None,
            attempts=[_attempt(number, attempt) for number, attempt in enumerate(run.attempts, start=1)],
            metadata=dict(run.metadata),
            created_at=run.created_at,
            started_at=run.started_at,
            ended_at=run.ended_at,
        )


class RunAnswer(Answer):
    """One run."""

    run: Run


class RunsAnswer(ListAnswer):
    """A page of runs, newest first."""

    runs: list[Run]


class RunsQuery(PageQuery):
    """Which runs to list."""

    status: domain.Status | None = None
    agent_id: str | None = None
    project_id: str | None = None
    start: Annotated[Moment | None, Field(alias="from")] = None
    end: Annotated[Moment | None, Field(alias="to")] = None


class RunPatch(BaseModel):
    """What a client may change of a run."""

    model_config = ConfigDict(extra="forbid", strict=True)

    status: Literal["cancelled"]


class ToolOutput(BaseModel):
    """What one tool has given."""

    model_config = ConfigDict(extra="forbid", strict=True)

    tool_call_id: str
    output: str


class ToolOutputs(BaseModel):
    """What all tools that the run asked for have given."""

    model_config = ConfigDict(extra="forbid", strict=True)

    tool_outputs: Annotated[list[ToolOutput], Field(min_length=1, max_length=MAX_TOOL_CALLS)]


def _usage(meters: dict[Meter, int]) -> Usage:
    return Usage.model_validate({meter.value: amount for meter, amount in meters.items()})


def _required_action(run: domain.Run) -> RequiredAction | None:
    calls = [ToolCall.model_validate(call) for call in run.tool_calls]
    return RequiredAction(tool_calls=calls) if calls else None


def _attempt(number: int, attempt: domain.Attempt) -> Attempt:
    return Attempt(
        attempt=number,
        outcome=attempt.outcome,
        usage_certain=attempt.usage_certain,
        calls=[
            Call(
                call=call.number,
                provider=call.provider,
                model=call.model,
                simulated=call.simulated,
                status=call.status,
                usage=_usage(dict(call.meters)),
                cost_nano_usd=call.cost_nano_usd,
                error_code=call.error_code,
                started_at=call.started_at,
                ended_at=call.ended_at,
            )
            for call in attempt.calls
        ],
    )
