"""Reservation: the usage bound of a call is deducted from the tenant's budget before the call is sent."""

from dataclasses import dataclass, replace
from datetime import datetime

from services.runs.budgets.domain import (
    MAX_OPEN_CALLS,
    MAX_OPEN_CALLS_OF_WORKERS,
    SWEEP_GRACE_PERIOD,
    Budget,
    Grant,
    PlanLimits,
    Reservation,
    ReservationRequest,
    Slots,
    full_grant,
    month_of,
    partial_grant,
)
from services.runs.budgets.table.budgets import BudgetTable
from services.runs.errors import NoFreeSlot
from services.runs.runs.domain.run import CallId
from shared.errors import DependencyUnavailable, LimitReached
from shared.ids import milliseconds
from shared.metrics import BUDGET_REFUSALS
from shared.observability import report
from shared.tenancy.context import TenantAccess

_MAX_ATTEMPTS = 100
"""Each failed try means that another request has succeeded."""


@dataclass(frozen=True, slots=True)
class ReservedCall:
    """The reservation of a call."""

    period: str
    reservation: Reservation
    taken_over: bool = False
    """Whether an earlier try of the same request made it, perhaps for other tokens; that try may still be under way."""


def reserve(
    budgets: BudgetTable,
    access: TenantAccess,
    call: CallId,
    request: ReservationRequest,
    *,
    now: datetime,
    from_client: bool,
) -> ReservedCall:
    """Reserve the requested tokens, or as many as are left.

    Args:
        budgets: the table.
        access: the tenant's copy as it is now.
        call: the call to be sent.
        request: its usage bound.
        now: the time, which determines the month.
        from_client: whether a client adds the call and can be asked to retry. Its run takes one of the tenant's slots.

    Raises:
        LimitReached: not even the input fits into the remainder.
        NoFreeSlot: the tokens would fit, but all slots are taken.
        TooManyRequests: too many calls are open.
        DependencyUnavailable: the remainder cannot be read, or too many reservations compete.
    """
    reserver = _Reserver(budgets, access, call, request, now, from_client)
    step: ReservedCall | _Plan = _Plan(month_of(now), budgets.limits_of(access), full_grant(request))
    for _ in range(_MAX_ATTEMPTS):
        step = reserver.attempt(step)
        if isinstance(step, ReservedCall):
            return step
    msg = "Too much is reserved at once; try again in a moment."
    raise DependencyUnavailable(msg, retry_after_s=1)


@dataclass(frozen=True, slots=True)
class _Plan:
    """The next try: the tokens to reserve in the budget of a month, under the limits that it is expected to have."""

    period: str
    limits: PlanLimits
    grant: Grant
    partial_grants: int = 0
    """The number of grants so far that were reduced to the remainder."""


@dataclass(frozen=True, slots=True)
class _Reserver:
    """One reservation. Each try either reserves, or learns from the budget that refused it how to plan the next."""

    budgets: BudgetTable
    access: TenantAccess
    call: CallId
    request: ReservationRequest
    now: datetime
    from_client: bool

    @property
    def max_open(self) -> int:
        """The maximum number of open calls of the tenant."""
        return MAX_OPEN_CALLS if self.from_client else MAX_OPEN_CALLS_OF_WORKERS

    def attempt(self, plan: _Plan) -> ReservedCall | _Plan:
        """Reserve as planned, or return the plan for the next try."""
        reservation = Reservation(self.call, plan.grant.tokens, milliseconds(self.now))
        refused = self.budgets.reserve(
            plan.period,
            reservation,
            plan.grant,
            limits=plan.limits,
            max_open=self.max_open,
            swept_at=self.now + SWEEP_GRACE_PERIOD,
            takes_slot=self.from_client,
        )
        if refused is None:
            return ReservedCall(plan.period, reservation)
        return self._prepare(plan, refused.budget, reservation.name) if refused.budget else self._create(plan)

    def _create(self, plan: _Plan) -> _Plan:
        """Create the budget of a month without one."""
        self.budgets.create(plan.period, Budget.fresh(plan.limits))
        return plan

    def _prepare(self, plan: _Plan, seen: Budget, name: str) -> ReservedCall | _Plan:
        """Correct the first thing in the budget, or in the plan, because of which the try was refused."""
        if plan.limits.replaces(seen.limits):
            self.budgets.change_limits(plan.period, seen, plan.limits)
            return plan
        if self.from_client and (seen.slots is None or seen.slots.moved_to):
            return replace(plan, period=self._month_of_slots(plan, seen))
        existing = seen.open.get(name)
        if existing:
            return self._take_over(plan, existing)
        return self._reduce(plan, seen)

    def _month_of_slots(self, plan: _Plan, seen: Budget) -> str:
        """Return the month that holds the tenant's slots, after moving them to this one if none does."""
        if seen.slots and seen.slots.moved_to:
            return seen.slots.moved_to
        # A month that began in a release without slots does not know their number.
        limits = plan.limits if plan.limits.seq == seen.limits.seq else seen.limits
        return self.budgets.slots.open(plan.period, limits, now=self.now)

    def _take_over(self, plan: _Plan, existing: Reservation) -> ReservedCall | _Plan:
        """Use the reservation of an earlier try of the same request."""
        renewed = self.budgets.take_over(
            plan.period,
            existing,
            now_ms=milliseconds(self.now),
            holds_slot=self.from_client,
        )
        return ReservedCall(plan.period, renewed, taken_over=True) if renewed else plan

    def _reduce(self, plan: _Plan, seen: Budget) -> _Plan:
        """Plan as many tokens as are left, under the limits in the budget, and make sure that a slot is free."""
        tries = plan.partial_grants + 1
        grant = _partial_grant(
            self.access, seen, self.request, call=self.call, max_open=self.max_open, tries=tries, now=self.now
        )
        if self.from_client and seen.slots and not seen.slots.has_free_slot:
            _grow_slots(self.budgets, plan.period, seen, seen.slots)
        return _Plan(plan.period, seen.limits, grant, tries)


def _grow_slots(budgets: BudgetTable, period: str, seen: Budget, slots: Slots) -> None:
    """Use the slots that the previous month has freed.

    Raises:
        NoFreeSlot: it has freed none.
    """
    may_grow = slots.is_full and slots.waiting <= 0 and slots.limit < seen.limits.runs
    if not (may_grow and budgets.slots.grow(period, seen)):
        raise NoFreeSlot(period, limit=seen.limits.runs, waiting=slots.waiting, is_full=slots.is_full)


def _partial_grant(
    access: TenantAccess,
    seen: Budget,
    request: ReservationRequest,
    *,
    call: CallId,
    max_open: int,
    tries: int,
    now: datetime,
) -> Grant:
    """Return `partial_grant`, and report a refusal as a metric."""
    try:
        return partial_grant(seen, request, call=call, max_open=max_open, tries=tries, now=now)
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
