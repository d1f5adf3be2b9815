"""The slots of a tenant, in the item of its month: the executing runs, and the number of waiting ones.

Every change is one conditional update of that single item, as for the budget.
"""

from datetime import datetime

from services.runs.budgets.domain import Budget, Freed, NoSlot, PlanLimits, Slots, period_after, period_before
from services.runs.budgets.table.months import MONTHS_DUE, NOT_MOVED, MonthTable
from shared.ids import milliseconds
from shared.storage.items import Key, Value
from shared.storage.table import TenantRows, setting
from shared.storage.transaction import Expression, refuse_with

_OPENED = Expression("attribute_exists(#executing)")
_UNOPENED = Expression("attribute_not_exists(#executing)")


class _Changed(Exception):
    """Another request has changed the month first."""


class _Over(Exception):
    """The next month holds the slots already."""


class SlotTable(TenantRows):
    """The slots of one tenant, in the items of its months."""

    def open(self, period: str, limits: PlanLimits, *, now: datetime) -> str:
        """Move the tenant's slots to a month, unless another request has.

        The previous month is closed first: from then on it only frees slots, and those still in use reduce the limit
        of this month. So at no time do two months give out slots.

        Args:
            period: the month, whose item exists.
            limits: the limits in that item.
            now: the time.

        Returns:
            The month to continue with: this one, or the next if that one holds the slots already.
        """
        before = self._close(period_before(period), moved_to=period)
        slots = Slots(
            executing={},
            # Less than zero after a smaller plan. It must stay so: a larger one later adds only the difference.
            limit=limits.runs - len(before.executing if before else ()),
            waiting=before.waiting if before else 0,
            waiting_since_ms=milliseconds(now),
        )
        transaction, changed = self.transaction(is_step=True), refuse_with(_Changed())
        first = Expression("#seq = :seq_before AND attribute_not_exists(#executing)", {"seq_before": limits.seq})
        transaction.update(
            self._key(period), self._month(period).opening(slots, runs=limits.runs), when=first, otherwise=changed
        )
        transaction.check(self._key(period_after(period)), when=_UNOPENED, otherwise=refuse_with(_Over()))
        if before is None:
            transaction.check(self._key(period_before(period)), when=_UNOPENED, otherwise=changed)
        try:
            self.store.commit(transaction)
        except _Changed:
            return period
        except _Over:
            return period_after(period)
        return period

    def _close(self, period: str, *, moved_to: str) -> Slots | None:
        closed = self._month(period).update("", setting({"moved_to": moved_to}), when=_OPENED)
        return closed.slots if closed else None

    def grow(self, period: str, seen: Budget) -> bool:
        """Raise the limit by the slots that the previous month has freed.

        Returns:
            Whether the limit is higher than the one that was read.
        """
        before = self._month(period_before(period)).find()
        slots = before.slots if before else None
        limit = seen.limits.runs - len(slots.executing if slots else ())
        if seen.slots is None or limit <= seen.slots.limit:
            return False
        # A change of plan in between also changes the limit, and must not be undone.
        same = Expression(
            "#slots_limit = :seen AND #runs_limit = :runs", {"seen": seen.slots.limit, "runs": seen.limits.runs}
        )
        self.store.try_update(self._key(period), setting({"slots_limit": limit}), when=same)
        return True

    def acquire(self, period: str, run_id: str, *, now: datetime, swept_at: datetime) -> NoSlot | None:
        """Give a waiting run a slot; return None on success."""
        slot = f"#executing.#{run_id}"
        change = Expression(
            f"SET {slot} = :now, #waiting = #waiting - :one, #waiting_at = :now, "
            "#due_pk = if_not_exists(#due_pk, :due_pk), #due_sk = if_not_exists(#due_sk, :due_sk)",
            {
                "now": milliseconds(now),
                "one": 1,
                **MONTHS_DUE.place(swept_at, self.tenant_id),
            },
        )
        free = Expression(
            "attribute_exists(#executing) AND size(#executing) < #slots_limit AND #moved_to = :nowhere "
            f"AND attribute_not_exists({slot})",
            {"nowhere": NOT_MOVED},
        )
        return self._refusal(period, change, when=free)

    def release(
        self, period: str, run_id: str, *, since_ms: int | None = None, was_waiting: bool = False
    ) -> Freed | None:
        """Free a run's slot.

        Args:
            period: the month that holds the slot.
            run_id: the run.
            since_ms: free the slot only if it was taken at this time, in milliseconds since 1970.
            was_waiting: count the run as waiting again, which undoes `acquire`.

        Returns:
            None if the run has no such slot.
        """
        slot, values = f"#executing.#{run_id}", dict[str, Value]()
        unchanged = [f"attribute_exists({slot})"]
        if since_ms is not None:
            unchanged, values = [f"{slot} = :since"], {"since": since_ms}
        change = Expression(
            "SET #waiting = #waiting" + (" + :one" if was_waiting else "") + f", #moved_to = #moved_to REMOVE {slot}",
            {"one": 1} if was_waiting else {},
        )
        when = Expression(" AND ".join(unchanged), values)
        return self._month(period).freed(self.store.update_and_see(self._key(period), change, when=when))

    def enqueue(self, period: str, *, at_most: int, now: datetime, swept_at: datetime, first: bool) -> NoSlot | None:
        """Count a run as waiting; return None on success.

        Args:
            period: the month that holds the slots.
            at_most: the maximum number of waiting runs.
            now: the time.
            swept_at: the time at which the sweep looks for a free slot.
            first: whether no other run waits, so that the sweep's time is set even if it is due later.
        """
        sooner = "#due_sk = :due_sk" if first else "#due_sk = if_not_exists(#due_sk, :due_sk)"
        change = Expression(
            "SET #waiting = #waiting + :one, #waiting_at = :now, #due_pk = if_not_exists(#due_pk, :due_pk), " + sooner,
            {
                "one": 1,
                "now": milliseconds(now),
                **MONTHS_DUE.place(swept_at, self.tenant_id),
            },
        )
        allowed = Expression("#waiting < :at_most AND #moved_to = :nowhere", {"at_most": at_most, "nowhere": NOT_MOVED})
        return self._refusal(period, change, when=allowed)

    def leave(self, period: str, *, now: datetime) -> bool:
        """Count one waiting run less; return False if this month does not hold the slots or counts no waiting run."""
        change = Expression("SET #waiting = #waiting - :one, #waiting_at = :now", {"one": 1, "now": milliseconds(now)})
        counted = Expression("#waiting > :none AND #moved_to = :nowhere", {"none": 0, "nowhere": NOT_MOVED})
        return self.store.try_update(self._key(period), change, when=counted) is None

    def recount(self, period: str, seen: Slots, *, waiting: int, now: datetime) -> None:
        """Correct the number of waiting runs, unless it has changed since it was read."""
        change = setting({"waiting": waiting, "waiting_at": milliseconds(now)})
        unchanged = Expression(
            "#waiting = :seen AND #waiting_at = :seen_at AND #moved_to = :nowhere",
            {"seen": seen.waiting, "seen_at": seen.waiting_since_ms, "nowhere": NOT_MOVED},
        )
        self.store.try_update(self._key(period), change, when=unchanged)

    def _refusal(self, period: str, change: Expression, *, when: Expression) -> NoSlot | None:
        """Update a month; return the month that refused it, or None on success."""
        month = self._month(period)
        unchanged = self.store.try_update(month.key(), change, when=when)
        return NoSlot(month.refused(unchanged)) if unchanged else None

    def _month(self, period: str) -> MonthTable:
        return MonthTable(self.store, self.tenant_id, period)

    def _key(self, period: str) -> Key:
        return self._month(period).key()
