"""The HTTP API of the logs and traces of runs."""

from aws_lambda_powertools.event_handler import Response

from services.runs import wiring
from services.runs.history.domain.log import entries
from services.runs.history.domain.trace import spans, trace_id
from services.runs.history.schemas import RunLogsResponse, RunTraceResponse
from shared.http.call import Caller
from shared.http.responses import ok
from shared.http.router import Router
from shared.tenancy.permissions import Role

router = Router()

_RUN = "/v1/tenants/{tenant_id}/runs/{run_id}"


@router.route("GET", f"{_RUN}/logs", min_role=Role.OBSERVER)
def get_run_logs(caller: Caller, run_id: str) -> Response[RunLogsResponse]:
    """Return the history of a run, in order, without any text of inputs or answers."""
    run = wiring.tenant_runs(caller.tenant_id).get(run_id)
    return ok(RunLogsResponse.of(entries(run)))


@router.route("GET", f"{_RUN}/traces", min_role=Role.OBSERVER)
def get_run_trace(caller: Caller, run_id: str) -> Response[RunTraceResponse]:
    """Return the trace of a run: its waits, calls and tools as spans, with OpenTelemetry's attribute names."""
    run = wiring.tenant_runs(caller.tenant_id).get(run_id)
    return ok(RunTraceResponse.of(trace_id(run), spans(run)))
