"""HTTP API of budgets."""

from aws_lambda_powertools.event_handler import Response

from services.runs import wiring
from services.runs.budgets.operations.reading import current_budget
from services.runs.budgets.schemas import BudgetResponse, BudgetState
from shared.http.call import Caller, CurrentCall
from shared.http.errors import rate_limit_headers
from shared.http.responses import ok
from shared.http.router import Router
from shared.tenancy.permissions import Role

router = Router()


@router.route("GET", "/v1/tenants/{tenant_id}/budget", min_role=Role.OBSERVER)
def get_budget(caller: Caller, call: CurrentCall) -> Response[BudgetResponse]:
    """Return what is used, reserved and left of the tenant's monthly limits."""
    budget = current_budget(wiring.tenant_budgets(caller.tenant_id), wiring.access(caller.tenant_id), now=call.now)
    state = BudgetState.of(budget, now=call.now)
    response = ok(BudgetResponse(budget=state))
    response.headers.update(rate_limit_headers(state.limited))
    return response
