"""The correction of a budget after its reconciliation with the ledger."""

from collections.abc import Callable

from services.runs.budgets.domain import Budget, Spent
from services.runs.budgets.table.budgets import BudgetTable
from shared.tenancy.context import TenantAccess


def correct_budget(
    budgets: BudgetTable,
    access: Callable[[str], TenantAccess],
    period: str,
    spent: Spent,
) -> Spent:
    """Set the amount spent this month and return the previous value.

    Raises:
        BudgetMoved: the budget has changed meanwhile.
    """
    before = budgets.find(period)
    if before is None:
        before = Budget.fresh(budgets.limits_of(access(budgets.tenant_id)))
        budgets.create(period, before)
    budgets.correct(period, before, spent)
    return before.spent
