"""Holding runs to what their tenant may use: reserve before a call, settle after it, sweep what a crash leaves."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from services.runs.domain.budget import (
    LEFT_ALONE,
    MOST_OPEN,
    MOST_OPEN_OF_WORKERS,
    Budget,
    Reservation,
    Share,
    Spent,
    Terms,
    Wish,
    month_of,
    part,
    spent_by,
    spent_outside,
    whole,
)
from services.runs.domain.run import CallId, Run
from services.runs.table import SLICE
from services.runs.table.budgets import BudgetTable, DueBudget, NoBudget
from services.runs.table.runs import RunTable
from shared.errors import DependencyUnavailable, LimitReached
from shared.events.envelope import Event
from shared.events.metering import UsageBatchIngested, UsageIngested
from shared.ids import milliseconds
from shared.metrics import BUDGET_REFUSALS
from shared.observability import logger, report
from shared.storage.inbox import Delivery
from shared.storage.store import Store
from shared.storage.transaction import Transaction
from shared.tenancy.context import TenantAccess

_TRIES = 100
"""Each one that fails means that somebody else has gone on."""


@dataclass(frozen=True, slots=True)
class Held:
    """What is reserved for a call."""

    period: str
    reservation: Reservation
    taken_over: bool = False
    """An earlier try of the same request has made it, perhaps for other tokens, and may still be under way."""


def reserve(
    budgets: BudgetTable, access: TenantAccess, call: CallId, wish: Wish, *, now: datetime, from_client: bool
) -> Held:
    """Hold for the call what it wishes, or what there is of it.

    Args:
        budgets: the table.
        access: the tenant as it is known now.
        call: that is to be sent.
        wish: what it would use at most.
        now: the time, which tells the month.
        from_client: a client adds it, and can be told to come again.

    Raises:
        LimitReached: not even the input fits into what is left.
        TooManyRequests: too many calls are open.
        DependencyUnavailable: nobody knows what is left.
    """
    tenant_id, period, terms, share = access.tenant_id, month_of(now), Terms.of(access), whole(wish)
    most_open, shares = MOST_OPEN if from_client else MOST_OPEN_OF_WORKERS, 0
    for _ in range(_TRIES):
        asked = Reservation(call, share.tokens, milliseconds(now))
        look_at = now + LEFT_ALONE
        refused = budgets.reserve(tenant_id, period, asked, share, terms=terms, most_open=most_open, swept_at=look_at)
        if refused is None:
            return Held(period, asked)
        seen = refused.budget
        if seen is None:
            budgets.create(tenant_id, period, Budget.fresh(terms))
        elif there := seen.open.get(asked.name):
            if taken := budgets.take_over(tenant_id, period, there, now_ms=milliseconds(now)):
                return Held(period, taken, taken_over=True)
        elif seen.terms.seq < terms.seq:
            budgets.change_terms(tenant_id, period, seen, terms)
        else:
            terms, shares = seen.terms, shares + 1
            share = _part(access, seen, wish, call=call, most_open=most_open, tries=shares, now=now)
    msg = "Too much is reserved at once; try again in a moment."
    raise DependencyUnavailable(msg, retry_after_s=1)


def _part(
    access: TenantAccess, seen: Budget, wish: Wish, *, call: CallId, most_open: int, tries: int, now: datetime
) -> Share:
    """See `part`; a refusal is counted."""
    try:
        return part(seen, wish, call=call, most_open=most_open, tries=tries, now=now)
    except LimitReached as refused:
        report(
            "budget refused",
            {BUDGET_REFUSALS: 1},
            tenant_id=access.tenant_id,
            run_id=call.run_id,
            plan=access.plan,
            error=type(refused).__name__,
        )
        raise


def settle(budgets: BudgetTable, before: Run, after: Run) -> None:
    """Give back what the call that was open has not used, once the run says that it has ended or was not sent.

    Args:
        budgets: the table.
        before: the run as it was.
        after: as it was written.
    """
    planned, call = before.open_call, before.open_call_id
    spent = spent_by(after, call) if call else None
    if planned is None or call is None or spent is None:
        return
    reservation = Reservation(call, planned.bound_tokens, 0)
    try:
        budgets.settle(after.tenant_id, planned.period, reservation, spent)
    except DependencyUnavailable:
        logger.warning("a call is left for the sweep to settle", call=str(call))


def settle_all(budgets: BudgetTable, run: Run) -> None:
    """Settle what a crash has left open of a run that has ended, before nobody can say any more what it used."""
    for period in sorted({call.period for call in run.calls}):
        budget = budgets.find(run.tenant_id, period)
        for held in budget.open.values() if budget else ():
            spent = spent_by(run, held.call) if held.call.run_id == run.run_id else None
            if spent is not None:
                budgets.settle(run.tenant_id, period, held, spent)


def give_up(budgets: BudgetTable, tenant_id: str, held: Held) -> None:
    """Give back what was reserved for a write that is certainly not there, unless somebody goes on with it."""
    if held.taken_over:
        return
    try:
        budgets.settle(tenant_id, held.period, held.reservation, Spent(), unless_touched=True)
    except DependencyUnavailable:
        logger.warning("a reservation is left for the sweep to give back", call=str(held.reservation.call))


def sweep(budgets: BudgetTable, runs: RunTable, *, now: datetime) -> int:
    """Settle what a crash has left open, by what the runs say; says how many calls.

    Nothing is given back that may have been used: a call that its run knows as ended has taken what the run says,
    one that may be under way stays open, and one that is touched meanwhile is left alone.
    """
    settled = 0
    for due in budgets.due(now=now):
        try:
            settled += _sweep(budgets, runs, due, now=now)
        except DependencyUnavailable:
            logger.warning("a budget is left to the next sweep", tenant_id=due.tenant_id, period=due.period)
    return settled


def _sweep(budgets: BudgetTable, runs: RunTable, due: DueBudget, *, now: datetime) -> int:
    settled, old = 0, milliseconds(now - LEFT_ALONE)
    forgotten = [held for held in due.budget.open.values() if held.touched_ms < old]
    found = runs.find_many(due.tenant_id, {held.call.run_id for held in forgotten})
    for held in forgotten:
        spent = spent_by(found.get(held.call.run_id), held.call)
        if spent is not None:
            settled += budgets.settle(due.tenant_id, due.period, held, spent, unless_touched=True)
    budgets.look_again(due.tenant_id, due.period, at=now + LEFT_ALONE)
    return settled


def subtract_ingested(
    store: Store,
    budgets: BudgetTable,
    access: Callable[[str], TenantAccess],
    event: Event[UsageIngested | UsageBatchIngested],
    delivery: Delivery,
) -> None:
    """Take what was used outside of our runs, whatever is left.

    Raises:
        AlreadyHandled: it was taken before.
    """
    spent = spent_outside(event.data.meters)
    if spent == Spent():
        return

    def attempt() -> None:
        transaction = Transaction(event.tenant_id)
        delivery.mark(transaction, SLICE)
        budgets.subtract(event.tenant_id, event.data.period, spent, transaction=transaction)
        store.commit(transaction)

    try:
        attempt()
    except NoBudget:
        terms = Terms.of(access(event.tenant_id))
        budgets.create(event.tenant_id, event.data.period, Budget.fresh(terms))
        attempt()
