"""The schemas of runs in requests and responses."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, ConfigDict, Field, JsonValue

from services.runs.runs.domain import run as domain
from shared.freejson import Line
from shared.http.pagination import PageQuery
from shared.http.responses import ListResponse, ResponseBody
from shared.meters import Meter
from shared.model_settings import RunParameters
from shared.schema import DocumentedModel, SparseModel
from shared.times import TIMES_ONLY, Rfc3339

Moment = Annotated[
    AwareDatetime,
    TIMES_ONLY,
    Field(ge=datetime(1970, 1, 1, tzinfo=UTC), le=datetime(9000, 1, 1, tzinfo=UTC)),
]
"""A time that can be converted to any time zone."""


class RunUsage(DocumentedModel):
    """The total usage of the calls of a run."""

    tokens_in: int = 0
    """All input tokens, including cached ones."""
    tokens_out: int = 0
    """All output tokens, including reasoning."""
    tokens_cache_read: int = 0
    """The part of `tokens_in` that was read from the provider's cache."""
    tokens_cache_write: int = 0
    """The part of `tokens_in` that was written to the provider's cache."""
    tokens_cache_write_1h: int = 0
    """The part of `tokens_cache_write` that is kept for one hour."""
    tokens_reasoning: int = 0
    """The part of `tokens_out` that is reasoning."""
    tokens_uncertain: int = 0
    """The upper bound of the usage of calls whose result is unknown; never billed."""
    compute_ms: int = 0
    """From the time at which a call was sent until its end."""


class RunCall(DocumentedModel):
    """One request to a provider."""

    call: int
    """The number of the call in its attempt, from 1."""
    provider: str
    """The provider that was called, for example `openai`; `simulated` for a simulated answer."""
    model: str
    """The name of the model as it was sent."""
    simulated: bool
    """Whether the built-in provider answered."""
    status: str
    """`completed`, `failed`, `cancelled`, or `lost` if its worker was lost."""
    finish_reason: domain.FinishReason | None
    """The reason why the answer ended; null if the call failed."""
    usage: RunUsage
    usage_estimated: bool
    """Whether `tokens_out` is estimated from the received text, because the answer broke off."""
    cost_nano_usd: int | None
    """By the config's `price`, otherwise by the provider's list price; null if unknown."""
    price_source: Literal["list", "own"] | None
    """The price behind the cost: the provider's list price, or `price` of the config. Null if the cost is unknown."""
    error_code: str | None
    """The code of the error; null if the call did not fail."""
    started_at: Rfc3339
    ended_at: Rfc3339


class RunAttempt(DocumentedModel):
    """One lease of the run by a worker."""

    attempt: int
    """The number of the attempt, from 1."""
    outcome: str
    """`running`, `completed`, `failed`, `cancelled`, `requires_action`, or `lost` if its worker was lost."""
    usage_certain: bool
    """Whether the usage of all calls is known. If not, the rest of the upper bound is in `tokens_uncertain`."""
    calls: list[RunCall]
    """The calls that have ended, in order."""


class RunFailureDetails(SparseModel):
    """The answer that does not conform to the response schema."""

    output: str = ""
    """The raw text, at most 16 KB of it."""
    truncated: bool = Field(default_factory=bool)
    """Whether `output` is shorter than the answer."""
    reason: str = ""
    """The validation error."""


class RunFailure(SparseModel):
    """The reason why the run failed."""

    code: str
    """A stable name of the error, for example `ProviderRateLimited`."""
    message: str
    """A sentence for people; it may change."""
    details: RunFailureDetails = Field(default_factory=RunFailureDetails.model_construct)
    """Present for `OutputInvalid` and `OutputTooComplex`."""


class ToolCall(DocumentedModel):
    """The model's request to call a tool."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    name: str
    arguments: str
    """JSON as the model wrote it."""


class RequiredAction(DocumentedModel):
    """The action that the client must take before the run continues."""

    tool_calls: list[ToolCall]
    """Submit one output for each of them."""


class RunWarning(DocumentedModel):
    """A part of the configuration that had no effect."""

    code: Literal["ParameterOmitted"]
    model: str
    """The model that refuses the parameter."""
    parameter: str
    """The name of the parameter in the config."""
    message: str


class RunArtifact(SparseModel):
    """A payload that is too large for the response."""

    bytes: int
    """The size of the payload."""
    url: str = ""
    """The download URL of an output. Repeating the request returns a new one. Absent in a list."""
    expires_at: str = ""
    """The expiry time of the URL."""


class RunContentPart(SparseModel):
    """A text, an image or a file of a message, as it was sent."""

    type: Literal["text", "image", "file"]
    text: str = ""
    url: str = ""
    data: str = ""
    """The bytes in base64."""
    name: str = ""


class RunMessage(DocumentedModel):
    """One message of the conversation with which a run began."""

    role: str
    """`system`, `user` or `assistant`."""
    content: str | list[RunContentPart]


class RunInputs(SparseModel):
    """The inputs of a run: one message, or a conversation."""

    message: str | list[RunContentPart] | None = None
    """The user's message; absent if there are `messages`."""
    messages: list[RunMessage] | None = None
    """The conversation; absent if there is a `message`."""
    variables: dict[str, str] = Field(default_factory=dict)
    """The values of the variables of the agent's prompt."""
    artifact: RunArtifact = Field(default_factory=RunArtifact.model_construct)
    """In a list, in place of the other fields if the inputs are over 64 KB."""


class RunOutput(SparseModel):
    """The output of a run."""

    message: str = ""
    """The text of the answer."""
    data: JsonValue = None
    """The parsed answer of an agent with a `response_schema`."""
    artifact: RunArtifact = Field(default_factory=RunArtifact.model_construct)
    """In place of the other fields if the output is over 1 MiB, in a list over 64 KB."""


class RunPrompt(DocumentedModel):
    """The stored prompt of a run."""

    prompt_id: str
    version: int


class Run(DocumentedModel):
    """One execution of one agent version."""

    run_id: str
    status: domain.Status
    agent_id: str
    version: int
    """The version of the agent, which was pinned when the run was created."""
    project_id: str | None
    """The project of the agent when the run was created."""
    source: Literal["experiment"] | None
    """`experiment` for the run of a trial; null for a run that a client created."""
    experiment_id: str | None
    prompt: RunPrompt | None
    """The version of the stored prompt to which the run is pinned; null if the system prompt is a text."""
    inputs: RunInputs
    parameters: RunParameters
    output: RunOutput | None
    """Null until the run completes."""
    required_action: RequiredAction | None
    """The tool calls that the client must execute; null unless the run requires action, and in a list if the
    conversation is over 64 KB."""
    usage: RunUsage
    """The sum over all calls."""
    cost_nano_usd: int | None
    """The cost of all ended calls, by the config's `price`, otherwise by the provider's list price; null if the price
    of a call is unknown or no call has ended."""
    finish_reason: domain.FinishReason | None
    """The reason why the last answer ended; null while the run is under way, or if the last call failed."""
    limited_by: domain.LimitedBy | None
    """The limit that reduced the output cap: the month's budget, or `max_cost_usd`."""
    simulated: bool
    """Whether the built-in provider answered a call."""
    error: RunFailure | None
    """Null unless the run failed."""
    warnings: list[RunWarning]
    """The configured parameters that a model refuses, and that were left out of its calls."""
    attempts: list[RunAttempt]
    """The leases of the run by workers, each with its calls."""
    metadata: dict[str, Any]
    """The metadata of the request. In a list, metadata over 4 KB is replaced by its size: `{"artifact": {"bytes":
    …}}`."""
    created_at: Rfc3339
    started_at: Rfc3339 | None
    """The time at which a worker first leased the run; null before."""
    ended_at: Rfc3339 | None
    """Null until the status is final."""

    @classmethod
    def of(cls, run: domain.Run) -> Self:
        """Return the schema of a run."""
        return cls(
            run_id=run.run_id,
            status=run.status,
            agent_id=run.agent_id,
            version=run.version,
            project_id=run.project_id,
            source="experiment" if run.trial else None,
            experiment_id=run.trial.experiment_id if run.trial else None,
            prompt=RunPrompt(prompt_id=run.prompt.prompt_id, version=run.prompt.version) if run.prompt else None,
            inputs=RunInputs.model_validate(run.inputs),
            parameters=RunParameters.model_validate(run.parameters),
            output=RunOutput.model_validate(run.output) if run.output is not None else None,
            required_action=_required_action(run),
            usage=_usage(run.usage),
            cost_nano_usd=run.cost_nano_usd,
            finish_reason=run.finish_reason,
            limited_by=run.limited_by,
            simulated=run.simulated,
            error=RunFailure.model_validate(run.error.to_fields()) if run.error else None,
            warnings=[_omitted(model, parameter) for model, parameter in run.omitted],
            attempts=[_attempt(number, attempt) for number, attempt in enumerate(run.attempts, start=1)],
            metadata=dict(run.metadata),
            created_at=run.created_at,
            started_at=run.started_at,
            ended_at=run.ended_at,
        )


def bytes_of(run: domain.Run) -> int:
    """Return the size of a run in a response, in bytes."""
    return len(Run.of(run).model_dump_json().encode())


class RunResponse(ResponseBody):
    """One run."""

    run: Run


class RunsResponse(ListResponse):
    """A page of runs, newest first."""

    runs: list[Run]


class RunsQuery(PageQuery):
    """The filter of the list."""

    status: domain.Status | None = None
    agent_id: str | None = None
    project_id: str | None = None
    experiment_id: str | None = None
    start: Annotated[Moment | None, Field(alias="from")] = None
    """Runs created at this time or later."""
    end: Annotated[Moment | None, Field(alias="to")] = None
    """Runs created before this time."""
    metadata: Annotated[Line | None, Field(pattern=r"^[^:]+:", max_length=1_000)] = None
    """A key and its value, for example `team:red`. Metadata over 4 KB is not searched."""

    @property
    def key_and_value(self) -> tuple[str, str] | None:
        """The key and the value of the metadata."""
        if self.metadata is None:
            return None
        key, _, value = self.metadata.partition(":")
        return key, value


def _usage(meters: dict[Meter, int]) -> RunUsage:
    return RunUsage.model_validate({meter.value: amount for meter, amount in meters.items()})


def _omitted(model: str, parameter: str) -> RunWarning:
    message = f"The model {model} does not support {parameter}. It was called without it."
    return RunWarning(code="ParameterOmitted", model=model, parameter=parameter, message=message)


def _required_action(run: domain.Run) -> RequiredAction | None:
    calls = [ToolCall.model_validate(call) for call in run.tool_calls]
    return RequiredAction(tool_calls=calls) if calls else None


def _attempt(number: int, attempt: domain.Attempt) -> RunAttempt:
    return RunAttempt(
        attempt=number,
        outcome=attempt.outcome,
        usage_certain=attempt.usage_certain,
        calls=[
            RunCall(
                call=call.number,
                provider=call.provider,
                model=call.model,
                simulated=call.simulated,
                status=call.status,
                finish_reason=call.finish_reason,
                usage_estimated=call.usage_estimated,
                usage=_usage(dict(call.meters)),
                cost_nano_usd=call.cost_nano_usd,
                price_source=call.price_source,
                error_code=call.error_code,
                started_at=call.started_at,
                ended_at=call.ended_at,
            )
            for call in attempt.calls
        ],
    )
