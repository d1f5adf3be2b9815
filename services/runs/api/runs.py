"""HTTP in: runs, all but following them."""

import re
import secrets
import time
from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Query

from services.runs import wiring
from services.runs.api.history import LogsAnswer, TraceAnswer
from services.runs.api.shapes import NewRun, Run, RunAnswer, RunPatch, RunsAnswer, RunsQuery, ToolOutputs
from services.runs.domain import run as domain
from services.runs.domain.history import entries
from services.runs.domain.trace import spans, trace_id
from services.runs.errors import BadRange, ToolOutputsMismatch
from services.runs.operations import deletion, steering, submission
from services.runs.operations.room import check_room
from services.runs.operations.showing import shown
from services.runs.operations.waiting import Waiting
from services.runs.table import SLICE
from services.runs.table.agents import agent_key
from services.runs.table.runs import RunFilter
from services.runs.table.storage import storage_key
from shared.copies.tenant_access import access_key
from shared.http.answers import accepted, created, no_content, ok
from shared.http.app import HttpApp
from shared.http.call import Caller, CurrentCall, KnownTenant, current
from shared.http.pagination import page_after, place_of
from shared.http.request import Request
from shared.ids import new_id, pattern
from shared.money import nano_usd
from shared.observability import current_trace_id
from shared.storage.items import Key
from shared.tenancy.context import TenantContext
from shared.tenancy.permissions import Feature, Role
from shared.times import utc_now

handler = HttpApp(access=wiring.access, store=wiring.tenant_store)

RUNS = "/v1/tenants/{tenant_id}/runs"
RUN = f"{RUNS}/{{run_id}}"
_LONGEST_WAIT_S = 25


@handler.route("GET", RUNS, least=Role.OBSERVER)
def list_runs(caller: Caller, query: Annotated[RunsQuery, Query()]) -> Response[RunsAnswer]:
    """Runs, newest first; a filter that lets few runs pass can give a short page that is not the last one."""
    if query.start and query.end and query.start >= query.end:
        raise BadRange
    chosen = RunFilter(query.status, query.agent_id, query.project_id, query.start, query.end)
    scope = (caller.tenant_id, "runs", repr(chosen))
    runs, place = wiring.tenant_runs().page(
        caller.tenant_id, chosen, limit=query.limit, after=place_of(query.token, *scope, form=pattern("run"))
    )
    return ok(RunsAnswer(runs=[Run.of(run) for run in runs], pagination=page_after(place, *scope)))


@handler.route("GET", RUN, least=Role.OBSERVER)
def get_run(caller: Caller, run_id: str) -> Response[RunAnswer]:
    """One run; an output over 1 MiB is given as an address to download it from, good for five minutes."""
    run = wiring.tenant_runs().get(caller.tenant_id, run_id)
    return ok(_answer(run), etag=run.seq)


@handler.route("DELETE", RUN, least=Role.DEVELOPER, feature=Feature.AGENTS, statuses=(204,))
def delete_run(caller: Caller, call: CurrentCall, run_id: str) -> Response[None]:
    """Delete a run that has ended, with all that was stored for it; what it used stays counted."""
    runs, budgets = wiring.tenant_runs(), wiring.tenant_budgets()
    deletion.delete_run(runs, budgets, caller.tenant_id, run_id, now=call.now, if_match=call.if_match)
    return no_content()


@handler.route("GET", f"{RUN}/logs", least=Role.OBSERVER)
def get_logs(caller: Caller, run_id: str) -> Response[LogsAnswer]:
    """What happened to a run, in order; never what was asked or answered."""
    run = wiring.tenant_runs().get(caller.tenant_id, run_id)
    return ok(LogsAnswer.of(entries(run)))


@handler.route("GET", f"{RUN}/traces", least=Role.OBSERVER)
def get_traces(caller: Caller, run_id: str) -> Response[TraceAnswer]:
    """The trace of a run: its waits, calls and tools as spans, with OpenTelemetry's names of attributes."""
    run = wiring.tenant_runs().get(caller.tenant_id, run_id)
    return ok(TraceAnswer.of(trace_id(run), spans(run)))


def _show_submitted(caller: TenantContext, run_id: str) -> Response[RunAnswer]:
    return _submitted(caller, wiring.tenant_runs().get(caller.tenant_id, run_id))


def _read_by_create(tenant_id: str, request: Request) -> list[Key]:
    """Return the keys of the tenant, of its storage, and of the agent if the body names one that can exist."""
    agent_id = request.text_in_body("agent_id") or ""
    keys = [access_key(SLICE, tenant_id), storage_key(tenant_id)]
    return [*keys, agent_key(tenant_id, agent_id)] if re.fullmatch(pattern("agt"), agent_id) else keys


@handler.route(
    "POST",
    RUNS,
    least=Role.DEVELOPER,
    feature=Feature.AGENTS,
    statuses=(201, 202),
    replay=_show_submitted,
    ahead=_read_by_create,
    audited=False,
)
def create_run(
    caller: Caller, access: KnownTenant, call: CurrentCall, body: Annotated[NewRun, Body()]
) -> Response[RunAnswer]:
    """Run an agent: 202 at once, or with `Prefer: wait=N` (at most 25 s) 201 when it ends in time."""
    check_room(wiring.tenant_store(), access)
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
        trace_id=current_trace_id(),
        waited=wait_s is not None,
    )
    run = submission.submit_run(
        wiring.tenant_agents(),
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
    waiting = Waiting(wiring.workers(), wiring.tenant_runs(), clock=utc_now, sleep=time.sleep, monotonic=time.monotonic)
    response = _submitted(caller, waiting.execute_and_wait(run, wait_s=wait_s))
    response.headers["Preference-Applied"] = f"wait={wait_s}"
    return response


@handler.route("PATCH", RUN, least=Role.DEVELOPER, feature=Feature.AGENTS, statuses=(200, 202))
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


@handler.route(
    "POST", f"{RUN}/tool-outputs", least=Role.DEVELOPER, feature=Feature.AGENTS, statuses=(200, 202), audited=False
)
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
    answer = _answer(run)
    return ok(answer, etag=run.seq) if run.status.final else accepted(answer, location=_location(caller, run.run_id))


def waits(prefer: str | None) -> int | None:
    """The seconds of a `Prefer: wait=N` (RFC 7240), at most 25; None when nothing is waited for."""
    found = re.search(r"(?:^|[,;]\s*)wait\s*=\s*\"?(\d{1,9})", prefer or "")
    return min(int(found[1]), _LONGEST_WAIT_S) or None if found else None


def _submitted(caller: TenantContext, run: domain.Run) -> Response[RunAnswer]:
    location, answer = _location(caller, run.run_id), _answer(run)
    return created(answer, location=location, etag=run.seq) if run.status.final else accepted(answer, location=location)


def _answer(run: domain.Run) -> RunAnswer:
    return RunAnswer(run=Run.of(shown(wiring.tenant_runs(), run, now=current.get().now)))


def _location(caller: TenantContext, run_id: str) -> str:
    return RUN.format(tenant_id=caller.tenant_id, run_id=run_id)
