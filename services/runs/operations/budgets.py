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
    Slots,
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
from services.runs.errors import NoFreeSlot
from services.runs.table import SLICE
from services.runs.table.budgets import BudgetTable, NoBudget
from services.runs.table.slots import Freed
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
        from_client: a client adds it, and can be told to come again. Its run takes one of the tenant's slots.

    Raises:
        LimitReached: not even the input fits into what is left.
        NoFreeSlot: it would fit, but as many runs execute as may.
        TooManyRequests: too many calls are open.
        DependencyUnavailable: nobody knows what is left.
    """
    reserving = _Reserving(budgets, access, call, wish, now, from_client, month_of(now), Terms.of(access), whole(wish))
    for _ in range(_TRIES):
        held = reserving.attempt()
        if held:
            return held
    msg = "Too much is reserved at once; try again in a moment."
    raise DependencyUnavailable(msg, retry_after_s=1)


@dataclass(slots=True)
class _Reserving:
    """The attempts at one reservation: each that is refused is a step towards one that is not."""

    budgets: BudgetTable
    access: TenantAccess
    call: CallId
    wish: Wish
    now: datetime
    from_client: bool
    period: str
    terms: Terms
    share: Share
    shares: int = 0

    @property
    def most_open(self) -> int:
        """Calls of the tenant that may be open."""
        return MOST_OPEN if self.from_client else MOST_OPEN_OF_WORKERS

    def attempt(self) -> Held | None:
        """Reserve, or do what it takes to be less likely refused the next time."""
        asked = Reservation(self.call, self.share.tokens, milliseconds(self.now))
        refused = self.budgets.reserve(
            self.access.tenant_id,
            self.period,
            asked,
            self.share,
            terms=self.terms,
            most_open=self.most_open,
            swept_at=self.now + LEFT_ALONE,
            takes_slot=self.from_client,
        )
        if refused is None:
            return Held(self.period, asked)
        seen = refused.budget
        if seen is None:
            self.budgets.create(self.access.tenant_id, self.period, Budget.fresh(self.terms))
        elif seen.terms.seq < self.terms.seq:
            self.budgets.change_terms(self.access.tenant_id, self.period, seen, self.terms)
        elif self.from_client and (seen.slots is None or seen.slots.moved_to):
            self._find_slots(seen)
        elif there := seen.open.get(asked.name):
            return self._take_over(there)
        else:
            self._adapt(seen)
        return None

    def _find_slots(self, seen: Budget) -> None:
        """Go to the month that holds the tenant's slots, or let this one hold them."""
        if seen.slots and seen.slots.moved_to:
            self.period = seen.slots.moved_to
        else:
            # A month that began before there were slots does not know their number.
            terms = self.terms if self.terms.seq == seen.terms.seq else seen.terms
            self.period = self.budgets.slots.open(self.access.tenant_id, self.period, terms, now=self.now)

    def _take_over(self, there: Reservation) -> Held | None:
        taken = self.budgets.take_over(
            self.access.tenant_id,
            self.period,
            there,
            now_ms=milliseconds(self.now),
            holds_slot=self.from_client,
        )
        return Held(self.period, taken, taken_over=True) if taken else None

    def _adapt(self, seen: Budget) -> None:
        """Take what there is, under the plan that the budget has."""
        tenant_id = self.access.tenant_id
        self.terms, self.shares = seen.terms, self.shares + 1
        self.share = _part(
            self.access, seen, self.wish, call=self.call, most_open=self.most_open, tries=self.shares, now=self.now
        )
        if self.from_client and seen.slots and not seen.slots.has_room:
            _make_room(self.budgets, tenant_id, self.period, seen, seen.slots)


def _make_room(budgets: BudgetTable, tenant_id: str, period: str, seen: Budget, slots: Slots) -> None:
    """Use the slots that the month before has freed.

    Raises:
        NoFreeSlot: it has freed none.
    """
    may_grow = slots.is_full and slots.waiting <= 0 and slots.limit < seen.terms.runs
    if not (may_grow and budgets.slots.grow(tenant_id, period, seen)):
        raise NoFreeSlot(period, limit=seen.terms.runs, waiting=slots.waiting, is_full=slots.is_full)


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


def settle(budgets: BudgetTable, before: Run, after: Run) -> Freed | None:
    """Give back what the call that was open has not used, once the run says that it has ended or was not sent.

    The run's slot is freed with it, when the run does not execute any more.

    Args:
        budgets: the table.
        before: the run as it was.
        after: as it was written.

    Returns:
        None when nothing was freed, or it is left to the sweep.
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
        freed = budgets.settle(after.tenant_id, planned.period, reservation, spent, frees=frees)
        if freed and frees:
            return freed
    return budgets.slots.release(after.tenant_id, freed_period, after.run_id) if freed_period else None


def settle_all(budgets: BudgetTable, run: Run) -> None:
    """Settle what a crash has left open of a run that has ended, before nobody can say any more what it used."""
    for period in sorted({call.period for call in run.calls}):
        budget = budgets.find(run.tenant_id, period)
        for held in budget.open.values() if budget else ():
            spent = spent_by(run, held.call) if held.call.run_id == run.run_id else None
            if spent is not None:
                budgets.settle(run.tenant_id, period, held, spent)


def give_up(budgets: BudgetTable, tenant_id: str, held: Held) -> Freed | None:
    """Give back what was reserved for a write that is certainly not there, unless somebody goes on with it."""
    if held.taken_over:
        return None
    run_id = held.reservation.call.run_id
    try:
        return budgets.settle(tenant_id, held.period, held.reservation, Spent(), unless_touched=True, frees=run_id)
    except DependencyUnavailable:
        logger.warning("a reservation is left for the sweep to give back", call=str(held.reservation.call))
        return None


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
