"""HTTP API of the charges of the current period."""

from aws_lambda_powertools.event_handler import Response

from services.billing import wiring
from services.billing.charges import operations
from services.billing.charges.schemas import Bill, PeriodCost, PeriodCostResponse
from shared.http.call import Caller, CurrentCall
from shared.http.responses import ok
from shared.http.router import Router
from shared.tenancy.permissions import Role

router = Router()


@router.route("GET", "/v1/tenants/{tenant_id}/billing/usage", min_role=Role.ANALYST)
def get_current_cost(caller: Caller, call: CurrentCall) -> Response[PeriodCostResponse]:
    """Get the cost of the current period so far, and its forecast."""
    charges = operations.get_charges(wiring.tenant_store(), caller.tenant_id, now=call.now)
    return ok(
        PeriodCostResponse(
            usage=PeriodCost(
                plan=charges.customer.plan,
                billing=charges.customer.billing,
                period_start=charges.period.start,
                period_end=charges.period.end,
                counted_until=charges.counted_until,
                so_far=Bill.model_validate(charges.so_far),
                forecast=Bill.model_validate(charges.forecast),
            )
        )
    )
