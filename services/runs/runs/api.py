"""The HTTP API that reads runs."""

from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query

from services.runs import wiring
from services.runs.errors import BadRange
from services.runs.runs.operations.presenter import present_run
from services.runs.runs.schemas import Run, RunResponse, RunsQuery, RunsResponse, bytes_of
from services.runs.runs.table.listing import RunFilter
from shared.http.call import Caller, CurrentCall
from shared.http.pagination import cursor_of, page_after
from shared.http.responses import ok
from shared.http.router import Router
from shared.ids import pattern
from shared.tenancy.permissions import Role

router = Router()

RUNS = "/v1/tenants/{tenant_id}/runs"
RUN = f"{RUNS}/{{run_id}}"


@router.route("GET", RUNS, min_role=Role.OBSERVER)
def list_runs(caller: Caller, query: Annotated[RunsQuery, Query()]) -> Response[RunsResponse]:
    """List runs, newest first.

    Runs of experiments are listed only with `experiment_id`. A page can be short without being the last one, because of
    its filter or its limit of 2 MB.
    """
    if query.start and query.end and query.start >= query.end:
        raise BadRange
    run_filter = RunFilter(
        query.status,
        query.agent_id,
        query.project_id,
        query.start,
        query.end,
        query.key_and_value,
        query.experiment_id,
    )
    scope = (caller.tenant_id, "runs", repr(run_filter))
    runs, cursor = wiring.tenant_runs(caller.tenant_id).listing.page(
        run_filter,
        limit=query.limit,
        after=cursor_of(query.token, *scope, form=pattern("run")),
        bytes_of=bytes_of,
    )
    return ok(RunsResponse(runs=[Run.of(run) for run in runs], pagination=page_after(cursor, *scope)))


@router.route("GET", RUN, min_role=Role.OBSERVER)
def get_run(caller: Caller, call: CurrentCall, run_id: str) -> Response[RunResponse]:
    """Return a run. An output over 1 MiB is replaced by a download link, valid for five minutes."""
    runs_of_tenant = wiring.tenant_runs(caller.tenant_id)
    run = runs_of_tenant.get(run_id)
    presented = present_run(runs_of_tenant, run, now=call.now)
    return ok(RunResponse(run=Run.of(presented)), etag=run.seq)
