"""HTTP in: runs."""

import re
import secrets
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from services.runs import wiring
from services.runs.domain import run as domain
from services.runs.errors import BadRange, ToolOutputsMismatch
from services.runs.operations import steering, submission
from services.runs.table.runs import RunFilter
from shared.http.answers import Answer, ListAnswer, accepted, created, ok
from shared.http.app import HttpApp
from shared.http.call import Caller, CurrentCall, KnownTenant
from shared.http.pagination import PageQuery, page_after, place_of
from shared.ids import new_id, pattern
from shared.meters import Meter
from shared.money import nano_usd
from shared.tenancy.context import TenantContext
from shared.tenancy.permissions import Feature, Role
from shared.times import Rfc3339

app = HttpApp(access=wiring.access, store=wiring.tenant_store)

_RUNS = "/v1/tenants/{tenant_id}/runs"
_RUN = f"{_RUNS}/{{run_id}}"
_LONGEST_WAIT_S = 25

Text = Annotated[str, Field(min_length=1)]


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
    version: Annotated[int, Field(ge=1)] | None = None
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
    start: Annotated[AwareDatetime | None, Field(alias="from")] = None
    end: Annotated[AwareDatetime | None, Field(alias="to")] = None


@app.route("GET", _RUNS, least=Role.OBSERVER)
def list_runs(caller: Caller, query: Annotated[RunsQuery, Query()]) -> Response[RunsAnswer]:
    """Runs, newest first; a filter that lets few runs pass can give a short page that is not the last one."""
    if query.start and query.end and query.start >= query.end:
        raise BadRange
    chosen = RunFilter(query.status, query.agent_id, query.project_id, query.start, query.end)
    scope = (caller.tenant_id, "runs", repr(chosen))
    runs, place = wiring.tenant_runs().page(
        caller.tenant_id, chosen, limit=query.limit, after=place_of(query.token, *scope)
    )
    return ok(RunsAnswer(runs=[Run.of(run) for run in runs], pagination=page_after(place, *scope)))


@app.route("GET", _RUN, least=Role.OBSERVER)
def get_run(caller: Caller, run_id: str) -> Response[RunAnswer]:
    """One run."""
    run = wiring.tenant_runs().get(caller.tenant_id, run_id)
    return ok(RunAnswer(run=Run.of(run)), etag=run.seq)


def _show_submitted(caller: TenantContext, run_id: str) -> Response[RunAnswer]:
    return _submitted(caller, run_id)


@app.route(
    "POST",
    _RUNS,
    least=Role.DEVELOPER,
    feature=Feature.AGENTS,
    statuses=(201, 202),
    replay=_show_submitted,
)
def create_run(
    caller: Caller, access: KnownTenant, call: CurrentCall, body: Annotated[NewRun, Body()]
) -> Response[RunAnswer]:
    """Run an agent: 202 at once, or with `Prefer: wait=N` (at most 25 s) 201 when it ends in time."""
    wait_s = waits(call.prefer)
    asked = submission.NewRun(
        run_id=new_id("run", call.now, entropy=call.once.entropy if call.once else secrets.randbits),
        agent_id=body.agent_id,
        version=body.version,
        inputs=body.inputs.model_dump(exclude_none=True),
        metadata=body.metadata,
        max_output_tokens=body.max_output_tokens,
        max_cost_nano_usd=None if body.max_cost_usd is None else nano_usd(body.max_cost_usd),
        request_id=caller.request_id,
        waited=wait_s is not None,
    )
    run = submission.submit_run(
        wiring.tenant_store(),
        wiring.tenant_runs(),
        wiring.configs(),
        wiring.planner(),
        access,
        asked,
        now=call.now,
        once=call.once,
    )
    if wait_s is None:
        return accepted(RunAnswer(run=Run.of(run)), location=_location(caller, run.run_id))
    wiring.workers().execute(caller.tenant_id, run.run_id, wait_s=wait_s)
    response = _submitted(caller, run.run_id)
    response.headers["Preference-Applied"] = f"wait={wait_s}"
    return response


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

    tool_outputs: Annotated[list[ToolOutput], Field(min_length=1, max_length=128)]


@app.route("PATCH", _RUN, least=Role.DEVELOPER, feature=Feature.AGENTS, statuses=(200, 202))
def cancel_run(
    caller: Caller,
    call: CurrentCall,
    run_id: str,
    body: Annotated[RunPatch, Body()],  # noqa: ARG001 — there is one change
) -> Response[RunAnswer]:
    """Cancel a run: 200 when that is done, 202 when its worker has been asked to stop."""
    runs, budgets = wiring.tenant_runs(), wiring.tenant_budgets()
    run = steering.cancel_run(runs, budgets, caller.tenant_id, run_id, now=call.now, if_match=call.if_match)
    return _under_way(caller, run)


@app.route("POST", f"{_RUN}/tool-outputs", least=Role.DEVELOPER, feature=Feature.AGENTS, statuses=(200, 202))
def hand_in_tool_outputs(
    caller: Caller, access: KnownTenant, call: CurrentCall, run_id: str, body: Annotated[ToolOutputs, Body()]
) -> Response[RunAnswer]:
    """Let a run go on with the outputs of its tools; the same outputs again are answered as before."""
    outputs = {output.tool_call_id: output.output for output in body.tool_outputs}
    if len(outputs) < len(body.tool_outputs):
        raise ToolOutputsMismatch
    run = steering.hand_in_tool_outputs(
        wiring.tenant_runs(), wiring.configs(), wiring.planner(), access, run_id, outputs, now=call.now
    )
    return _under_way(caller, run)


def _under_way(caller: TenantContext, run: domain.Run) -> Response[RunAnswer]:
    answer = RunAnswer(run=Run.of(run))
    return ok(answer, etag=run.seq) if run.status.final else accepted(answer, location=_location(caller, run.run_id))


def waits(prefer: str | None) -> int | None:
    """The seconds of a `Prefer: wait=N` (RFC 7240), at most 25; None when nothing is waited for."""
    found = re.search(r"(?:^|[,;]\s*)wait\s*=\s*\"?(\d{1,9})", prefer or "")
    return min(int(found[1]), _LONGEST_WAIT_S) or None if found else None


def _submitted(caller: TenantContext, run_id: str) -> Response[RunAnswer]:
    run = wiring.tenant_runs().get(caller.tenant_id, run_id)
    location, answer = _location(caller, run_id), RunAnswer(run=Run.of(run))
    return created(answer, location=location, etag=run.seq) if run.status.final else accepted(answer, location=location)


def _location(caller: TenantContext, run_id: str) -> str:
    return _RUN.format(tenant_id=caller.tenant_id, run_id=run_id)


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


handler = app
