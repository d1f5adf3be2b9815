"""What runs and budgets say was used, for those who compare it with the ledger; and its correction."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

from services.runs.domain.budget import Budget, Spent, Terms
from services.runs.domain.lifecycle import usage_of
from services.runs.domain.run import Call, CallId, Run
from services.runs.table.budgets import BudgetTable
from services.runs.table.runs import RunFilter, RunTable
from shared.drift import Tally, tallies_by_span, tally_of_call
from shared.tenancy.context import TenantAccess

_READ_AT_ONCE = 2_000
"""Runs of one page; an item may have 64 KB of inputs and as much of output."""


def tallies(
    runs: RunTable, tenant_id: str, *, start: datetime, end: datetime, after: str | None
) -> tuple[dict[str, Tally], str | None]:
    """The tallies of the calls of runs that were made in this time, newest first, and the place to go on from."""
    chosen = RunFilter(start=start, end=end)
    page, place = runs.page(tenant_id, chosen, limit=_READ_AT_ONCE, after=after)
    return tallies_by_span(_tallies(page)), place


def _tallies(runs: Iterable[Run]) -> Iterator[tuple[str, Tally]]:
    for run in runs:
        for call_id, call in run.ended_calls:
            yield run.run_id, tally_of_call(str(call_id), call.meters)


def calls_of(runs: RunTable, tenant_id: str, span: str) -> Iterator[tuple[CallId, Call]]:
    """The calls that have ended, of all runs whose ids begin so."""
    for run in runs.made_in(tenant_id, span):
        yield from run.ended_calls


def say_again(runs: RunTable, tenant_id: str, calls: Iterable[CallId]) -> list[str]:
    """Say once more what these calls used, as it was said when they ended; says of which."""
    asked = list(calls)
    found = runs.find_many(tenant_id, {call.run_id for call in asked})
    said: list[str] = []
    for call in asked:
        run = found.get(call.run_id)
        event = usage_of(run, call) if run else None
        if run and event:
            runs.say(run, event)
            said.append(event.id)
    return said


def correct_budget(
    budgets: BudgetTable,
    access: Callable[[str], TenantAccess],
    tenant_id: str,
    period: str,
    spent: Spent,
) -> Spent:
    """Make a month's budget say that so much was spent; says what it said before.

    Raises:
        BudgetMoved: it has changed meanwhile.
    """
    before = budgets.find(tenant_id, period)
    if before is None:
        before = Budget.fresh(Terms.of(access(tenant_id)))
        budgets.create(tenant_id, period, before)
    budgets.correct(tenant_id, period, before, spent)
    return before.spent
