"""HTTP in: the plan that a tenant is billed by."""

from aws_lambda_powertools.event_handler import Response
from pydantic import BaseModel, ConfigDict

from services.billing import operations, wiring
from shared.http.answers import Answer, ok
from shared.http.app import HttpApp
from shared.http.call import Caller
from shared.tenancy.permissions import Role

app = HttpApp(access=wiring.access, store=wiring.tenant_store)


class Plan(BaseModel):
    """What the tenant is billed by."""

    model_config = ConfigDict(from_attributes=True)

    plan: str
    billing: str
    """`manual`: usage is counted and nothing is collected by machine."""


class PlanAnswer(Answer):
    """The tenant's plan."""

    plan: Plan


@app.route("GET", "/v1/tenants/{tenant_id}/billing/plan", least=Role.ANALYST)
def get_plan(caller: Caller) -> Response[PlanAnswer]:
    """The tenant's plan, and how it is billed."""
    customer = operations.get_customer(wiring.tenant_store(), caller.tenant_id)
    return ok(PlanAnswer(plan=Plan.model_validate(customer)))


handler = app
