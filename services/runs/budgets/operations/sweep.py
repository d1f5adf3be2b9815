"""The sweep of budgets: it repairs open calls, slots and the number of waiting runs, by the runs' own state."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import TypeVar

from services.runs.budgets.domain import SWEEP_GRACE_PERIOD, Budget, PlanLimits, Slots, spent_by
from services.runs.budgets.operations.slots import SWEEP_INTERVAL, dispatch_waiting, holds_slot, start
from services.runs.budgets.table.budgets import AllBudgets, BudgetTable
from services.runs.budgets.table.months import DueBudget
from services.runs.runs.table.runs import AllRuns, RunTable
from shared.ids import milliseconds
from shared.storage.due import DueEntry
from shared.sweep import Swept, sweep
from shared.tenancy.context import TenantAccess

T = TypeVar("T")
_BATCH_SIZE = 100
_MAX_COUNTED = 100_000
"""An upper bound of the waiting runs of one tenant: 20 for each of 1,000 slots, and some more after a smaller plan."""


def sweep_budgets(
    budgets: AllBudgets,
    runs: AllRuns,
    access: Callable[[str], TenantAccess],
    *,
    now: datetime,
    concurrency: int = 1,
) -> Swept:
    """Settle abandoned calls, free abandoned slots and start runs that wait although slots are free.

    No amount that may have been used is returned to the budget: a call that its run records as ended is settled by the
    usage in the run, one that may be under way stays open, and one that was touched meanwhile is skipped. The same
    holds for slots.

    Returns:
        The result of the sweep; its results are the numbers of repaired calls and slots, for each budget with any.
    """

    def handle(entry: DueEntry) -> int | None:
        due, tenant_id = budgets.queue.load(entry), entry.tenant_id
        return (_sweep(budgets.of(tenant_id), runs.of(tenant_id), access, due, now=now) or None) if due else None

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
    budgets.schedule_sweep(due.period, at=now + (SWEEP_INTERVAL if waits else SWEEP_GRACE_PERIOD))
    return done


def _settle_calls(budgets: BudgetTable, runs: RunTable, due: DueBudget, *, now: datetime) -> int:
    settled, old = 0, milliseconds(now - SWEEP_GRACE_PERIOD)
    old_entries = [reservation for reservation in due.budget.open.values() if reservation.touched_ms < old]
    for batch in _batches(old_entries):
        states = runs.states_of_calls([reservation.call for reservation in batch])
        for reservation in batch:
            state = states.get(reservation.call.run_id)
            spent = spent_by(state, reservation.call)
            if spent is not None:
                frees = reservation.call.run_id if state is None and due.budget.slots else None
                freed = budgets.settle(due.period, reservation, spent, unless_touched=True, frees=frees)
                settled += freed is not None
    return settled


def _free_slots(budgets: BudgetTable, runs: RunTable, due: DueBudget, slots: Slots, *, now: datetime) -> int:
    freed, old = 0, milliseconds(now - SWEEP_GRACE_PERIOD)
    old_entries = [(run_id, since) for run_id, since in slots.executing.items() if since < old]
    for batch in _batches(old_entries):
        states = runs.states([run_id for run_id, _ in batch])
        for run_id, since in batch:
            state = states.get(run_id)
            if holds_slot(state, due.period):
                continue
            if state and state.waits_for_slot:
                freed += start(runs, state, due.period, now=now)
            else:
                released = budgets.slots.release(due.period, run_id, since_ms=since)
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
    """Start waiting runs; return whether any of the tenant's runs waited."""
    if slots.waiting_since_ms < milliseconds(now - SWEEP_GRACE_PERIOD):
        waiting = runs.backlog.count(at_most=_MAX_COUNTED)
        if waiting != slots.waiting:
            budgets.slots.recount(due.period, slots, waiting=waiting, now=now)
    else:
        waiting = slots.waiting
    if not waiting:
        return False
    _apply_limits(budgets, due.period, due.budget, budgets.limits_of(access(due.tenant_id)))
    dispatch_waiting(budgets, runs, now=now, limit=_BATCH_SIZE)
    return True


def _apply_limits(budgets: BudgetTable, period: str, budget: Budget, limits: PlanLimits) -> None:
    """Apply a changed plan, so that waiting runs can use its slots before the next new run applies it."""
    if limits.replaces(budget.limits):
        budgets.change_limits(period, budget, limits)


def _batches(entries: Iterable[T]) -> Iterator[list[T]]:
    rest = iter(entries)
    while batch := list(islice(rest, _BATCH_SIZE)):
        yield batch
