"""Event handlers that deduct usage from outside, and operator commands about budgets."""

from typing import Any

from pydantic import BaseModel, ConfigDict

from services.runs import wiring
from services.runs.budgets.domain import Spent
from services.runs.budgets.operations.correction import correct_budget
from services.runs.budgets.operations.reading import current_budget
from services.runs.budgets.operations.settlement import subtract_ingested
from services.runs.budgets.schemas import BudgetState
from shared.events.envelope import Event
from shared.events.metering import UsageBatchIngested, UsageIngested
from shared.messaging.commands import CommandRouter
from shared.messaging.consumer import EventRouter
from shared.storage.inbox import Delivery
from shared.times import utc_now

events = EventRouter()
commands = CommandRouter()


@events.on(UsageIngested, UsageBatchIngested)
def subtract_from_budget(event: Event[UsageIngested | UsageBatchIngested], delivery: Delivery) -> None:
    """Deduct usage that was reported from outside from the tenant's month."""
    subtract_ingested(wiring.slice_budgets().of(event.tenant_id), wiring.copies().read, event, delivery)


class _TenantInput(BaseModel):
    model_config = ConfigDict(extra="forbid")

    tenant_id: str


class _BudgetsInput(_TenantInput):
    periods: list[str]


class _CorrectionInput(_TenantInput):
    period: str
    requests: int
    tokens: int


@commands.on("budgets", _BudgetsInput)
def budgets(command: _BudgetsInput) -> dict[str, Any]:
    """Return the amounts spent in these months, and the numbers of open calls."""
    of_tenant = wiring.slice_budgets().of(command.tenant_id)
    by_period = {period: of_tenant.find(period) for period in command.periods}
    return {
        "budgets": {
            period: {**_spent(budget.spent), "open": len(budget.open)} for period, budget in by_period.items() if budget
        }
    }


@commands.on("correct_budget", _CorrectionInput)
def correct(command: _CorrectionInput) -> dict[str, Any]:
    """Set the amount spent this month and return the previous value."""
    spent = Spent(command.requests, command.tokens)
    of_tenant = wiring.slice_budgets().of(command.tenant_id)
    before = correct_budget(of_tenant, wiring.copies().read, command.period, spent)
    return {"before": _spent(before)}


@commands.on("budget", _TenantInput)
def budget(command: _TenantInput) -> dict[str, Any]:
    """Return the state of a tenant's current month."""
    now = utc_now()
    access = wiring.slice_access(command.tenant_id)
    found = current_budget(wiring.slice_budgets().of(command.tenant_id), access, now=now)
    return {"budget": BudgetState.of(found, now=now).model_dump(mode="json")}


def _spent(spent: Spent) -> dict[str, int]:
    return {"requests": spent.requests, "tokens": spent.tokens}
