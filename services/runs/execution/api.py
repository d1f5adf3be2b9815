"""The HTTP API that starts, continues and cancels runs."""

import re
import secrets
import time
from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body

from services.runs import wiring
from services.runs.agents.table import AgentCopyTable
from services.runs.errors import ToolOutputsMismatch
from services.runs.execution.operations import cancel, submission, tool_outputs
from services.runs.execution.operations.wait import RunWaiter
from services.runs.execution.schemas import NewRun, RunPatch, ToolOutputs
from services.runs.partitions import SLICE
from services.runs.runs.domain import run as domain
from services.runs.runs.operations.presenter import present_run
from services.runs.runs.operations.storage_quota import check_storage_quota
from services.runs.runs.schemas import Run, RunResponse
from services.runs.runs.table.storage import StoredBytes
from shared.copies.tenant_access import access_key
from shared.http.call import Caller, CurrentCall, KnownTenant, current_call
from shared.http.request import Request
from shared.http.responses import accepted, created, ok
from shared.http.router import Router
from shared.ids import new_id, pattern
from shared.money import nano_usd
from shared.observability import current_trace_id
from shared.storage.items import Key
from shared.tenancy.context import TenantContext
from shared.tenancy.permissions import Feature, Role
from shared.times import utc_now

router = Router()

_RUNS = "/v1/tenants/{tenant_id}/runs"
_RUN = f"{_RUNS}/{{run_id}}"
_MAX_WAIT_S = 25


def _show_submitted(caller: TenantContext, run_id: str) -> Response[RunResponse]:
    return _submitted(caller, wiring.tenant_runs(caller.tenant_id).get(run_id))


def _read_by_create(tenant_id: str, request: Request) -> list[Key]:
    """Return the keys of the tenant, of its storage, and of the agent if the body has a valid id."""
    agent_id = request.text_in_body("agent_id") or ""
    store = wiring.tenant_store()
    keys = [access_key(SLICE, tenant_id), StoredBytes(store, tenant_id).key]
    if re.fullmatch(pattern("agt"), agent_id):
        keys.append(AgentCopyTable(store, tenant_id).key(agent_id))
    return keys


@router.route(
    "POST",
    _RUNS,
    min_role=Role.DEVELOPER,
    feature=Feature.AGENTS,
    statuses=(201, 202),
    replay=_show_submitted,
    prefetch=_read_by_create,
    waits=True,
    audited=False,
)
def create_run(
    caller: Caller, access: KnownTenant, call: CurrentCall, body: Annotated[NewRun, Body()]
) -> Response[RunResponse]:
    """Run an agent: 202 at once, or with `Prefer: wait=N` (at most 25 s) 201 if the run ends in time."""
    check_storage_quota(StoredBytes(wiring.tenant_store(), caller.tenant_id), access)
    wait_s = waits(call.prefer)
    run_request = domain.RunRequest(
        run_id=new_id(
            "run", call.now, entropy=call.idempotency_key.entropy if call.idempotency_key else secrets.randbits
        ),
        agent_id=body.agent_id,
        version=body.version,
        inputs=body.inputs.model_dump(exclude_none=True),
        metadata=body.metadata,
        parameters=body.parameters.model_dump(mode="json", exclude_none=True),
        max_output_tokens=body.max_output_tokens,
        max_cost_nano_usd=None if body.max_cost_usd is None else nano_usd(body.max_cost_usd),
        request_id=caller.request_id,
        trace_id=current_trace_id(),
        waited=wait_s is not None,
    )
    run = submission.submit_run(
        wiring.tenant_agents(),
        wiring.tenant_runs(caller.tenant_id),
        wiring.configs(),
        wiring.planner(caller.tenant_id),
        access,
        run_request,
        now=call.now,
        idempotency_key=call.idempotency_key,
    )
    if wait_s is None:
        return accepted(RunResponse(run=Run.of(run)), location=_location(caller, run.run_id))
    response = _submitted(caller, _waiter(caller).execute_and_wait(run, wait_s=wait_s))
    response.headers["Preference-Applied"] = f"wait={wait_s}"
    return response


@router.route("PATCH", _RUN, min_role=Role.DEVELOPER, feature=Feature.AGENTS, statuses=(200, 202))
def cancel_run(
    caller: Caller,
    call: CurrentCall,
    run_id: str,
    body: Annotated[RunPatch, Body()],  # noqa: ARG001 — there is one change
) -> Response[RunResponse]:
    """Cancel a run.

    Returns 200 if the run is cancelled, 202 if its worker was asked to stop, and 409 if the run has already ended.
    """
    runs, budgets = wiring.tenant_runs(caller.tenant_id), wiring.tenant_budgets(caller.tenant_id)
    run = cancel.cancel_run(runs, budgets, run_id, now=call.now, if_match=call.if_match)
    return _under_way(caller, run)


@router.route(
    "POST",
    f"{_RUN}/tool-outputs",
    min_role=Role.DEVELOPER,
    feature=Feature.AGENTS,
    statuses=(200, 202),
    waits=True,
    audited=False,
)
def submit_tool_outputs(
    caller: Caller, access: KnownTenant, call: CurrentCall, run_id: str, body: Annotated[ToolOutputs, Body()]
) -> Response[RunResponse]:
    """Submit the outputs of a run's tools, so that it continues. Submitting the same outputs again changes nothing.

    With `Prefer: wait=N` (at most 25 s), the response is sent when the run has ended or requires an action again: 200
    with the run in both cases, and 202 if neither happens in time.
    """
    outputs = {output.tool_call_id: output.output for output in body.tool_outputs}
    if len(outputs) < len(body.tool_outputs):
        raise ToolOutputsMismatch
    runs, planner = wiring.tenant_runs(caller.tenant_id), wiring.planner(caller.tenant_id)
    run = tool_outputs.submit_tool_outputs(runs, wiring.configs(), planner, access, run_id, outputs, now=call.now)
    wait_s = waits(call.prefer)
    if wait_s is None:
        return _under_way(caller, run)
    response = _under_way(caller, _waiter(caller).wait(run, wait_s=wait_s))
    response.headers["Preference-Applied"] = f"wait={wait_s}"
    return response


def _under_way(caller: TenantContext, run: domain.Run) -> Response[RunResponse]:
    response = _response(run)
    if run.status.is_under_way:
        return accepted(response, location=_location(caller, run.run_id))
    return ok(response, etag=run.seq)


def _waiter(caller: TenantContext) -> RunWaiter:
    runs = wiring.tenant_runs(caller.tenant_id)
    return RunWaiter(wiring.workers(), runs, clock=utc_now, sleep=time.sleep, monotonic=time.monotonic)


def waits(prefer: str | None) -> int | None:
    """Return the seconds of `Prefer: wait=N` (RFC 7240), at most 25; None if there is no wait."""
    found = re.search(r"(?:^|[,;]\s*)wait\s*=\s*\"?(\d{1,9})", prefer or "")
    return min(int(found[1]), _MAX_WAIT_S) or None if found else None


def _submitted(caller: TenantContext, run: domain.Run) -> Response[RunResponse]:
    location, response = _location(caller, run.run_id), _response(run)
    return (
        created(response, location=location, etag=run.seq)
        if run.status.final
        else accepted(response, location=location)
    )


def _response(run: domain.Run) -> RunResponse:
    return RunResponse(run=Run.of(present_run(wiring.tenant_runs(run.tenant_id), run, now=current_call().now)))


def _location(caller: TenantContext, run_id: str) -> str:
    return _RUN.format(tenant_id=caller.tenant_id, run_id=run_id)
