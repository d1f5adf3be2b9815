"""Settlement: the actual usage of a call replaces its reservation. Usage from outside is subtracted without one."""

from collections.abc import Callable

from services.runs.budgets.domain import Budget, Freed, Reservation, Spent, spent_by, spent_outside
from services.runs.budgets.operations.reservation import ReservedCall
from services.runs.budgets.table.budgets import BudgetMissing, BudgetTable
from services.runs.partitions import SLICE
from services.runs.runs.domain.run import Run
from shared.errors import DependencyUnavailable
from shared.events.envelope import Event
from shared.events.metering import UsageBatchIngested, UsageIngested
from shared.observability import logger
from shared.storage.inbox import Delivery
from shared.tenancy.context import TenantAccess


def settle(budgets: BudgetTable, before: Run, after: Run) -> Freed | None:
    """Settle the open call after the run was saved with its end, or without the call if it was not sent.

    The run's slot is freed in the same update if the run no longer executes. An outage leaves the call to the sweep.

    Args:
        budgets: the table.
        before: the run before the change.
        after: the run as it was saved.

    Returns:
        None if nothing was freed.
    """
    period = before.slot_period if after.slot_period is None else None
    try:
        return _settle(budgets, before, after, freed_period=period)
    except DependencyUnavailable:
        logger.warning("a run is left for the sweep to settle", run_id=after.run_id)
        return None


def _settle(budgets: BudgetTable, before: Run, after: Run, *, freed_period: str | None) -> Freed | None:
    planned, call = before.open_call, before.open_call_id
    spent = spent_by(after, call) if call else None
    if planned and call and spent is not None:
        reservation = Reservation(call, planned.bound_tokens, 0)
        frees = after.run_id if planned.period == freed_period else None
        freed = budgets.settle(planned.period, reservation, spent, frees=frees)
        if freed and frees:
            return freed
    return budgets.slots.release(freed_period, after.run_id) if freed_period else None


def settle_all(budgets: BudgetTable, run: Run) -> None:
    """Settle the calls that a crash has left open, before the ended run and its usage are deleted."""
    for period in sorted({call.period for call in run.calls}):
        budget = budgets.find(period)
        for reserved in budget.open.values() if budget else ():
            spent = spent_by(run, reserved.call) if reserved.call.run_id == run.run_id else None
            if spent is not None:
                budgets.settle(period, reserved, spent)


def release_reservation(budgets: BudgetTable, reserved: ReservedCall) -> Freed | None:
    """Release the reservation of a run that is certainly not stored, unless another try has taken it over."""
    if reserved.taken_over:
        return None
    call = reserved.reservation.call
    try:
        return budgets.settle(reserved.period, reserved.reservation, Spent(), unless_touched=True, frees=call.run_id)
    except DependencyUnavailable:
        logger.warning("a reservation is left for the sweep to release", call=str(call))
        return None


def subtract_ingested(
    budgets: BudgetTable,
    access: Callable[[str], TenantAccess],
    event: Event[UsageIngested | UsageBatchIngested],
    delivery: Delivery,
) -> None:
    """Deduct usage that was reported from outside, regardless of the remainder.

    Raises:
        AlreadyHandled: the event was applied before.
    """
    spent = spent_outside(event.data.meters)
    if spent == Spent():
        return

    def attempt() -> None:
        transaction = budgets.transaction()
        delivery.mark(transaction, SLICE)
        budgets.subtract(event.data.period, spent, transaction=transaction)
        budgets.store.commit(transaction)

    try:
        attempt()
    except BudgetMissing:
        limits = budgets.limits_of(access(event.tenant_id))
        budgets.create(event.data.period, Budget.fresh(limits))
        attempt()
