"""Reading the budget of the current month."""

from datetime import datetime

from services.runs.budgets.domain import Budget, month_of
from services.runs.budgets.table.budgets import BudgetTable
from shared.tenancy.context import TenantAccess


def current_budget(budgets: BudgetTable, access: TenantAccess, *, now: datetime) -> Budget:
    """Return the budget of the month of `now` under the tenant's current limits. Nothing is written."""
    limits = budgets.limits_of(access)
    budget = budgets.find(month_of(now)) or Budget.fresh(limits)
    return budget.under(limits) if limits.replaces(budget.limits) else budget
