"""The tenant's slots: a limited number of its runs executes at once, and the others wait in its own queue.

A slot is taken with the reservation of a run's first call, and freed by the settlement that ends the run. If a slot is
freed while runs wait, the oldest of them gets it: first the slot, then in one transaction its entry in the queue is
deleted and `run.queued` published. A crash between the two leaves a slot whose run still waits; the next dispatch of
that run, or the sweep, completes it.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

from services.runs.budgets.domain import MAX_WAITING_PER_SLOT, Freed, NoSlot, month_of, period_before
from services.runs.budgets.operations.reservation import ReservedCall
from services.runs.budgets.operations.settlement import release_reservation, settle
from services.runs.budgets.table.budgets import BudgetTable
from services.runs.errors import CancelRequested, LeaseLost, NoFreeSlot, TooManyWaitingRuns
from services.runs.runs.domain import lifecycle
from services.runs.runs.domain.run import Run
from services.runs.runs.table.runs import RunTable
from shared.errors import DependencyUnavailable
from shared.observability import logger

SWEEP_INTERVAL = timedelta(seconds=30)
"""The interval at which the sweep looks for free slots of a tenant whose runs wait."""
_MAX_MONTHS = 3
"""This month, the previous one if this one holds no slots yet, and the one that holds them now."""
MAX_DISPATCHED = 10
"""The maximum number of runs that one dispatch starts: one for the freed slot, and those that crashes have left
waiting."""


def settle_and_dispatch(budgets: BudgetTable, runs: RunTable, before: Run, after: Run, *, now: datetime) -> None:
    """Settle a run, and give the slot that it frees to a waiting run."""
    freed = settle(budgets, before, after)
    if freed:
        dispatch_after(budgets, runs, freed, now=now)


def release_and_dispatch(budgets: BudgetTable, runs: RunTable, reserved: ReservedCall, *, now: datetime) -> None:
    """Release the reservation and the slot of a run that is certainly not stored."""
    freed = release_reservation(budgets, reserved)
    if freed:
        dispatch_after(budgets, runs, freed, now=now)


def dispatch_after(budgets: BudgetTable, runs: RunTable, freed: Freed, *, now: datetime) -> None:
    """Start waiting runs after a slot was freed; a failure is left to the sweep."""
    if not freed.waiting:
        return
    try:
        dispatch_waiting(budgets, runs, now=now)
    except DependencyUnavailable:
        logger.warning("runs that wait for a slot are left to the sweep", tenant_id=runs.tenant_id)


def dispatch_after_enqueue(budgets: BudgetTable, runs: RunTable, full: NoFreeSlot, *, now: datetime) -> None:
    """Start waiting runs after a run that found no slot was added to them.

    A slot that was freed before the run was counted as waiting was not given to it. If other runs waited already, the
    request that frees a slot starts the next one.
    """
    if not full.is_full or full.waiting <= 0:
        dispatch_after(budgets, runs, Freed(full.period, waiting=True), now=now)


def dispatch_waiting(budgets: BudgetTable, runs: RunTable, *, now: datetime, limit: int = MAX_DISPATCHED) -> int:
    """Start the runs that have waited longest, while slots are free; return the number of started runs."""
    waiting = runs.backlog.oldest(limit=limit)
    states: Mapping[str, Run] = runs.states(waiting) if waiting else {}
    started = 0
    for run_id in waiting:
        period = _acquire(budgets, run_id, now=now)
        if period is None:
            break
        state = states.get(run_id)
        if state and start(runs, state, period, now=now):
            started += 1
        else:
            _undo(budgets, runs, run_id, period)
    return started


def start(runs: RunTable, waiting: Run, period: str, *, now: datetime) -> bool:
    """Put a waiting run that has a slot of this month into the workers' queue; return False if the run has changed."""
    after, events = lifecycle.dispatch(waiting, period, now=now)
    try:
        runs.save(waiting, after, events)
    except (LeaseLost, CancelRequested):
        return False
    return True


def _acquire(budgets: BudgetTable, run_id: str, *, now: datetime) -> str | None:
    """Return the month that has given the run a slot; None if none is free."""
    period = month_of(now)
    for _ in range(_MAX_MONTHS):
        refused = _acquire_in(budgets, period, run_id, now=now)
        slots = refused.slots if refused else None
        if refused is None or (slots and run_id in slots.executing):
            return period
        if slots and not slots.moved_to:
            return None
        period = slots.moved_to if slots and slots.moved_to else period_before(period)
    return None


def _acquire_in(budgets: BudgetTable, period: str, run_id: str, *, now: datetime) -> NoSlot | None:
    sweep_at = now + SWEEP_INTERVAL
    refused = budgets.slots.acquire(period, run_id, now=now, swept_at=sweep_at)
    seen = refused.month if refused else None
    is_short = seen and seen.slots and seen.slots.is_full and seen.slots.limit < seen.limits.runs
    if seen and is_short and budgets.slots.grow(period, seen):
        return budgets.slots.acquire(period, run_id, now=now, swept_at=sweep_at)
    return refused


def _undo(budgets: BudgetTable, runs: RunTable, run_id: str, period: str) -> None:
    """Free the slot of a run that was not started, unless another dispatch has started the run with this slot."""
    state = runs.states([run_id]).get(run_id)
    if not holds_slot(state, period):
        budgets.slots.release(period, run_id, was_waiting=True)


def enqueue(budgets: BudgetTable, full: NoFreeSlot, *, now: datetime) -> None:
    """Count a run as waiting, before it is written.

    Raises:
        TooManyWaitingRuns: the maximum number of runs waits.
        DependencyUnavailable: the month has just ended.
    """
    at_most = MAX_WAITING_PER_SLOT * full.limit
    refused = budgets.slots.enqueue(
        full.period, at_most=at_most, now=now, swept_at=now + SWEEP_INTERVAL, first=not full.waiting
    )
    if refused is None:
        return
    if refused.slots and refused.slots.moved_to is None:
        raise TooManyWaitingRuns(refused.slots.waiting)
    msg = "A new month has begun; try again."
    raise DependencyUnavailable(msg, retry_after_s=1)


def leave(budgets: BudgetTable, *, now: datetime) -> None:
    """Count one waiting run less, because it was cancelled or not written. A failure is left to the sweep."""
    month = month_of(now)
    try:
        if not budgets.slots.leave(month, now=now):
            budgets.slots.leave(period_before(month), now=now)
    except DependencyUnavailable:
        logger.warning("the number of runs that wait is left to the sweep", tenant_id=budgets.tenant_id)


def holds_slot(run: Run | None, period: str) -> bool:
    """Return whether a run holds a slot of this month according to its own state."""
    return run is not None and run.slot_period == period
