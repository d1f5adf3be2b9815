"""Making up for crashes in the budgets: open calls, slots, and the number of runs that wait, by the runs' own state."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import TypeVar

from services.runs.domain.budget import LEFT_ALONE, Budget, Slots, Terms, spent_by
from services.runs.operations.slots import LOOKED_AT, dispatch_waiting, holds_slot, start
from services.runs.table.budgets import BudgetTable, DueBudget
from services.runs.table.runs import RunTable
from shared.ids import milliseconds
from shared.storage.due import DueEntry
from shared.sweep import Swept, sweep
from shared.tenancy.context import TenantAccess

T = TypeVar("T")
_READ_AT_ONCE = 100
_COUNTED = 100_000
"""Runs of one tenant that can wait at most: 20 for each of 1,000 slots, and some more after a smaller plan."""


def sweep_budgets(
    budgets: BudgetTable,
    runs: RunTable,
    access: Callable[[str], TenantAccess],
    *,
    now: datetime,
    concurrency: int = 1,
) -> Swept:
    """Settle forgotten calls, free forgotten slots and start runs that wait although slots are free.

    Nothing is given back that may have been used: a call that its run knows as ended has taken the usage in the run,
    one that may be under way stays open, and whatever was touched meanwhile is left alone. The same holds for slots.

    Returns:
        Its results are how many calls and slots were made up for, of each budget with any.
    """

    def handle(entry: DueEntry) -> int | None:
        due = budgets.due_at(entry)
        return (_sweep(budgets, runs, access, due, now=now) or None) if due else None

    return sweep(budgets.queue, handle, now=now, concurrency=concurrency)


def _sweep(
    budgets: BudgetTable, runs: RunTable, access: Callable[[str], TenantAccess], due: DueBudget, *, now: datetime
) -> int:
    done = _settle_calls(budgets, runs, due, now=now)
    slots = due.budget.slots
    waits = False
    if slots:
        done += _free_slots(budgets, runs, due, slots, now=now)
        if slots.moved_to is None:
            waits = _start_waiting(budgets, runs, access, due, slots, now=now)
    budgets.look_again(due.tenant_id, due.period, at=now + (LOOKED_AT if waits else LEFT_ALONE))
    return done


def _settle_calls(budgets: BudgetTable, runs: RunTable, due: DueBudget, *, now: datetime) -> int:
    settled, old = 0, milliseconds(now - LEFT_ALONE)
    forgotten = [held for held in due.budget.open.values() if held.touched_ms < old]
    for some in _in_parts(forgotten):
        states = runs.states(due.tenant_id, {held.call.run_id for held in some})
        for held in some:
            state = states.get(held.call.run_id)
            spent = spent_by(state, held.call)
            if spent is not None:
                frees = held.call.run_id if state is None and due.budget.slots else None
                freed = budgets.settle(due.tenant_id, due.period, held, spent, unless_touched=True, frees=frees)
                settled += freed is not None
    return settled


def _free_slots(budgets: BudgetTable, runs: RunTable, due: DueBudget, slots: Slots, *, now: datetime) -> int:
    freed, old = 0, milliseconds(now - LEFT_ALONE)
    forgotten = [(run_id, since) for run_id, since in slots.executing.items() if since < old]
    for some in _in_parts(forgotten):
        states = runs.states(due.tenant_id, [run_id for run_id, _ in some])
        for run_id, since in some:
            state = states.get(run_id)
            if holds_slot(state, due.period):
                continue
            if state and state.waits_for_slot:
                freed += start(runs, state, due.period, now=now)
            else:
                released = budgets.slots.release(due.tenant_id, due.period, run_id, since_ms=since)
                freed += released is not None
    return freed


def _start_waiting(
    budgets: BudgetTable,
    runs: RunTable,
    access: Callable[[str], TenantAccess],
    due: DueBudget,
    slots: Slots,
    *,
    now: datetime,
) -> bool:
    """Start runs that wait; return whether any of the tenant's runs waited."""
    if slots.waiting_since_ms < milliseconds(now - LEFT_ALONE):
        waiting = runs.backlog.count(due.tenant_id, at_most=_COUNTED)
        if waiting != slots.waiting:
            budgets.slots.recount(due.tenant_id, due.period, slots, waiting=waiting, now=now)
    else:
        waiting = slots.waiting
    if not waiting:
        return False
    _apply_plan(budgets, due.tenant_id, due.period, due.budget, Terms.of(access(due.tenant_id)))
    dispatch_waiting(budgets, runs, due.tenant_id, now=now, limit=_READ_AT_ONCE)
    return True


def _apply_plan(budgets: BudgetTable, tenant_id: str, period: str, budget: Budget, terms: Terms) -> None:
    """Let runs that wait use the slots of a larger plan, which otherwise the next new run would apply."""
    if budget.terms.seq < terms.seq:
        budgets.change_terms(tenant_id, period, budget, terms)


def _in_parts(entries: Iterable[T]) -> Iterator[list[T]]:
    rest = iter(entries)
    while some := list(islice(rest, _READ_AT_ONCE)):
        yield some
