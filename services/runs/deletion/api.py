"""The HTTP API that deletes runs."""

from aws_lambda_powertools.event_handler import Response

from services.runs import wiring
from services.runs.deletion import operations
from shared.http.call import Caller, CurrentCall
from shared.http.responses import no_content
from shared.http.router import Router
from shared.tenancy.permissions import Feature, Role

router = Router()


@router.route(
    "DELETE",
    "/v1/tenants/{tenant_id}/runs/{run_id}",
    min_role=Role.DEVELOPER,
    feature=Feature.AGENTS,
    statuses=(204,),
)
def delete_run(caller: Caller, call: CurrentCall, run_id: str) -> Response[None]:
    """Delete an ended run and all its stored data; its usage stays counted."""
    runs, budgets = wiring.tenant_runs(caller.tenant_id), wiring.tenant_budgets(caller.tenant_id)
    operations.delete_run(runs, budgets, run_id, now=call.now, if_match=call.if_match)
    return no_content()
