"""The slots of a tenant, in the item of its month: the executing runs, and the number of waiting ones.

Every change is one conditional update of that single item, as for the budget.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Self

from services.runs.budgets.domain import Budget, PlanLimits, Slots, period_after, period_before
from services.runs.budgets.table.months import NOT_MOVED, budget_from_item, month_key
from services.runs.partitions import SLICE
from shared.ids import milliseconds
from shared.storage.due import DueIndex
from shared.storage.items import Item, Value
from shared.storage.store import Store, Unchanged
from shared.storage.transaction import Expression, Transaction, refuse_with

DUE = DueIndex(SLICE, "BUDGET")
"""By the time at which the sweep handles the month."""
_OPENED = Expression("attribute_exists(#executing)")
_UNOPENED = Expression("attribute_not_exists(#executing)")


@dataclass(frozen=True, slots=True)
class Freed:
    """The result of a settlement or of a freed slot."""

    period: str
    waiting: bool = False
    """Whether any run of the tenant waits for a slot."""

    @classmethod
    def of(cls, period: str, after: Item) -> Self:
        """Return the result of the update that stored this item."""
        moved_to = after.get("moved_to") or NOT_MOVED
        # A month whose slots were moved no longer knows the number of waiting runs.
        return cls(str(moved_to or period), bool(moved_to) or bool(after.get("waiting")))


@dataclass(frozen=True, slots=True)
class NoSlot:
    """The refusal of a slot or of a place to wait, with the month that refused it; None if it has no budget."""

    month: Budget | None

    @property
    def slots(self) -> Slots | None:
        """Return the slots of that month; None if it holds none."""
        return self.month.slots if self.month else None


class _Changed(Exception):
    """Another request has changed the month first."""


class _Over(Exception):
    """The next month holds the slots already."""


class SlotTable:
    """The slots of one slice, in the items of its budgets."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def open(self, tenant_id: str, period: str, limits: PlanLimits, *, now: datetime) -> str:
        """Move the tenant's slots to a month, unless another request has.

        The previous month is closed first: from then on it only frees slots, and those still in use reduce the limit
        of this month. So at no time do two months give out slots.

        Args:
            tenant_id: the tenant.
            period: the month, whose item exists.
            limits: the limits in that item.
            now: the time.

        Returns:
            The month to continue with: this one, or the next if that one holds the slots already.
        """
        before = self._close(tenant_id, period_before(period), moved_to=period)
        opened = Expression(
            "SET #executing = :none, #slots_limit = :slots_limit, #runs_limit = :runs_limit, #waiting = :waiting, "
            "#waiting_at = :now, #moved_to = :nowhere",
            {
                "none": {},
                # Less than zero after a smaller plan. It must stay so: a larger one later adds only the difference.
                "slots_limit": limits.runs - len(before.executing if before else ()),
                "runs_limit": limits.runs,
                "waiting": before.waiting if before else 0,
                "now": milliseconds(now),
                "nowhere": NOT_MOVED,
            },
        )
        transaction, changed = Transaction(tenant_id, is_step=True), refuse_with(_Changed())
        first = Expression("#seq = :seq AND attribute_not_exists(#executing)", {"seq": limits.seq})
        transaction.update(month_key(tenant_id, period), opened, when=first, otherwise=changed)
        transaction.check(month_key(tenant_id, period_after(period)), when=_UNOPENED, otherwise=refuse_with(_Over()))
        if before is None:
            transaction.check(month_key(tenant_id, period_before(period)), when=_UNOPENED, otherwise=changed)
        try:
            self._store.commit(transaction)
        except _Changed:
            return period
        except _Over:
            return period_after(period)
        return period

    def _close(self, tenant_id: str, period: str, *, moved_to: str) -> Slots | None:
        moved = Expression("SET #moved_to = :moved_to", {"moved_to": moved_to})
        item = self._store.update(month_key(tenant_id, period), moved, when=_OPENED)
        return budget_from_item(item).slots if item else None

    def grow(self, tenant_id: str, period: str, seen: Budget) -> bool:
        """Raise the limit by the slots that the previous month has freed.

        Returns:
            Whether the limit is higher than the one that was read.
        """
        before = self._store.get(month_key(tenant_id, period_before(period)))
        slots = budget_from_item(before).slots if before else None
        limit = seen.limits.runs - len(slots.executing if slots else ())
        if seen.slots is None or limit <= seen.slots.limit:
            return False
        grown = Expression("SET #slots_limit = :limit", {"limit": limit})
        # A change of plan in between also changes the limit, and must not be undone.
        same = Expression(
            "#slots_limit = :seen AND #runs_limit = :runs", {"seen": seen.slots.limit, "runs": seen.limits.runs}
        )
        self._store.try_update(month_key(tenant_id, period), grown, when=same)
        return True

    def acquire(self, tenant_id: str, period: str, run_id: str, *, now: datetime, swept_at: datetime) -> NoSlot | None:
        """Give a waiting run a slot; return None on success."""
        slot = f"#executing.#{run_id}"
        change = Expression(
            f"SET {slot} = :now, #waiting = #waiting - :one, #waiting_at = :now, "
            "#due_pk = if_not_exists(#due_pk, :due_pk), #due_sk = if_not_exists(#due_sk, :due_sk)",
            {
                "now": milliseconds(now),
                "one": 1,
                **DUE.place(swept_at, tenant_id),
            },
        )
        free = Expression(
            "attribute_exists(#executing) AND size(#executing) < #slots_limit AND #moved_to = :nowhere "
            f"AND attribute_not_exists({slot})",
            {"nowhere": NOT_MOVED},
        )
        return _refusal(self._store.try_update(month_key(tenant_id, period), change, when=free))

    def release(
        self, tenant_id: str, period: str, run_id: str, *, since_ms: int | None = None, was_waiting: bool = False
    ) -> Freed | None:
        """Free a run's slot.

        Args:
            tenant_id: the tenant.
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
        after = self._store.update_and_see(month_key(tenant_id, period), change, when=when)
        return None if isinstance(after, Unchanged) else Freed.of(period, after)

    def enqueue(
        self, tenant_id: str, period: str, *, at_most: int, now: datetime, swept_at: datetime, first: bool
    ) -> NoSlot | None:
        """Count a run as waiting; return None on success.

        Args:
            tenant_id: the tenant.
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
                **DUE.place(swept_at, tenant_id),
            },
        )
        allowed = Expression("#waiting < :at_most AND #moved_to = :nowhere", {"at_most": at_most, "nowhere": NOT_MOVED})
        return _refusal(self._store.try_update(month_key(tenant_id, period), change, when=allowed))

    def leave(self, tenant_id: str, period: str, *, now: datetime) -> bool:
        """Count one waiting run less; return False if this month does not hold the slots or counts no waiting run."""
        change = Expression("SET #waiting = #waiting - :one, #waiting_at = :now", {"one": 1, "now": milliseconds(now)})
        counted = Expression("#waiting > :none AND #moved_to = :nowhere", {"none": 0, "nowhere": NOT_MOVED})
        return self._store.try_update(month_key(tenant_id, period), change, when=counted) is None

    def recount(self, tenant_id: str, period: str, seen: Slots, *, waiting: int, now: datetime) -> None:
        """Correct the number of waiting runs, unless it has changed since it was read."""
        change = Expression(
            "SET #waiting = :waiting, #waiting_at = :now", {"waiting": waiting, "now": milliseconds(now)}
        )
        unchanged = Expression(
            "#waiting = :seen AND #waiting_at = :seen_at AND #moved_to = :nowhere",
            {"seen": seen.waiting, "seen_at": seen.waiting_since_ms, "nowhere": NOT_MOVED},
        )
        self._store.try_update(month_key(tenant_id, period), change, when=unchanged)


def _refusal(unchanged: Unchanged | None) -> NoSlot | None:
    if unchanged is None:
        return None
    return NoSlot(budget_from_item(unchanged.existing) if unchanged.existing else None)
