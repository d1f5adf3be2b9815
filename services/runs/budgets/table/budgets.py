"""The budgets of one slice. The remainder and the open calls change together, in one update of a single item."""

from datetime import datetime

from services.runs.budgets.domain import (
    MAX_EXECUTING_RUNS,
    Budget,
    Denied,
    Freed,
    Grant,
    PlanLimits,
    Reservation,
    Spent,
)
from services.runs.budgets.table.months import MONTHS_DUE, NOT_MOVED, DueMonthTable, MonthTable
from services.runs.budgets.table.slots import SlotTable
from services.runs.errors import BudgetMoved
from shared.storage.due import DueQueue
from shared.storage.items import Key, Value
from shared.storage.store import Store
from shared.storage.table import TenantRows, adding, setting
from shared.storage.transaction import ABSENT, PRESENT, Expression, Transaction, refuse_with
from shared.tenancy.context import TenantAccess

_SWEPT_TOGETHER = 25
"""The number of months that the sweep reads together; each can have 400 KB."""


class BudgetMissing(Exception):
    """The month has no budget yet."""


class BudgetTable(TenantRows):
    """The budgets of one tenant, one for each month.

    Args:
        store: the slice.
        tenant_id: the tenant.
        max_runs: the maximum number of executing runs of one tenant, regardless of its plan.
    """

    def __init__(self, store: Store, tenant_id: str, *, max_runs: int = MAX_EXECUTING_RUNS) -> None:
        super().__init__(store, tenant_id)
        self._max_runs = max_runs
        self.slots = SlotTable(store, tenant_id)

    def limits_of(self, access: TenantAccess) -> PlanLimits:
        """Return the limits of the tenant in this environment."""
        return PlanLimits.of(access, max_runs=self._max_runs)

    def find(self, period: str) -> Budget | None:
        """Return the budget of a month, or None before its first use."""
        return self._month(period).find()

    def create(self, period: str, budget: Budget) -> None:
        """Create the budget of a month, unless it exists."""
        month = self._month(period)
        begun = setting({"tenant_id": self.tenant_id, "period": period, **month.codec.encode(budget)})
        self.store.try_update(month.key(), begun, when=ABSENT)

    def change_limits(self, period: str, before: Budget, limits: PlanLimits) -> None:
        """Apply other limits, unless the budget's limits or slots have changed since it was read."""
        after, month = before.under(limits), self._month(period)
        more = {
            "requests_left": after.requests_left - before.requests_left,
            "tokens_left": after.tokens_left - before.tokens_left,
        }
        if before.slots:
            more["slots_limit"] = limits.runs - before.limits.runs
        unchanged = Expression(
            f"#seq = :seq_before AND attribute_{'exists' if before.slots else 'not_exists'}(#executing) "
            "AND (attribute_not_exists(#runs_limit) OR #runs_limit = :runs_before)",
            {"seq_before": before.limits.seq, "runs_before": before.limits.runs},
        )
        self.store.try_update(month.key(), adding(more, month.codec.values(limits=limits)), when=unchanged)

    def reserve(
        self,
        period: str,
        reservation: Reservation,
        grant: Grant,
        *,
        limits: PlanLimits,
        max_open: int,
        swept_at: datetime,
        takes_slot: bool,
    ) -> Denied | None:
        """Reserve the share for the call, if the limits are these, enough is left and the call is not open yet.

        Args:
            period: the month.
            reservation: the reservation of the call.
            grant: the tokens that must be left.
            limits: the limits on which the share is based.
            max_open: the maximum number of open calls, this one included.
            swept_at: the time at which the sweep handles the budget, unless it is due earlier.
            takes_slot: whether the run takes a slot of this month, which must be free while no run waits for one.

        Returns:
            None if the tokens are reserved.
        """
        month = self._month(period)
        open_call, slot = f"#open.#{reservation.name}", f"#executing.#{reservation.call.run_id}"
        change = Expression(
            f"SET {open_call} = :held, #tokens_left = #tokens_left - :tokens, "
            "#requests_left = #requests_left - :requests, "
            "#due_pk = if_not_exists(#due_pk, :due_pk), #due_sk = if_not_exists(#due_sk, :due_sk)"
            + (f", {slot} = :since" if takes_slot else ""),
            {
                "held": month.open_entry(reservation),
                "tokens": reservation.tokens,
                "requests": reservation.requests,
                **MONTHS_DUE.place(swept_at, self.tenant_id),
                **({"since": reservation.touched_ms} if takes_slot else {}),
            },
        )
        enough = _enough(reservation, grant, limits=limits, max_open=max_open, takes_slot=takes_slot)
        unchanged = self.store.try_update(month.key(), change, when=enough)
        return Denied(month.refused(unchanged)) if unchanged else None

    def take_over(self, period: str, reservation: Reservation, *, now_ms: int, holds_slot: bool) -> Reservation | None:
        """Take over the reservation of an earlier try of the same request; return None if it is gone or was touched.

        Args:
            period: the month.
            reservation: the reservation as it was read.
            now_ms: the time, in milliseconds since 1970.
            holds_slot: whether the earlier try took a slot too, which is then touched as well.
        """
        touched_ms = max(now_ms, reservation.touched_ms + 1)
        open_call = f"#open.#{reservation.name}"
        slot = f", #executing.#{reservation.call.run_id} = :now_ms" if holds_slot else ""
        touch = Expression(f"SET {open_call}.#at = :now_ms{slot}", {"now_ms": touched_ms})
        untouched = Expression(f"{open_call}.#at = :at", {"at": reservation.touched_ms})
        if self.store.try_update(self._key(period), touch, when=untouched):
            return None
        return Reservation(reservation.call, reservation.tokens, touched_ms)

    def settle(
        self,
        period: str,
        reservation: Reservation,
        spent: Spent,
        *,
        unless_touched: bool = False,
        frees: str | None = None,
    ) -> Freed | None:
        """Close an open call and return its unused part to the budget; return None if the call is not open.

        Args:
            period: the month of the reservation.
            reservation: the reservation as it was made.
            spent: the usage of the call.
            unless_touched: refuse if another request has taken over the reservation since it was read.
            frees: the run whose slot of this month is freed in the same update.
        """
        month, open_call = self._month(period), f"#open.#{reservation.name}"
        back = _adding(spent, tokens=reservation.tokens, requests=reservation.requests)
        # The result of an update has the attributes that it sets.
        seen, slot = ("SET #waiting = #waiting, #moved_to = #moved_to", f", #executing.#{frees}") if frees else ("", "")
        change = Expression(f"{back.text} {seen} REMOVE {open_call}{slot}", back.values)
        conditions, values = [f"{open_call}.#tokens = :tokens"], dict[str, Value](tokens=reservation.tokens)
        if unless_touched:
            conditions.append(f"{open_call}.#at = :at")
            values["at"] = reservation.touched_ms
        still_open = Expression(" AND ".join(conditions), values)
        return month.freed(self.store.update_and_see(month.key(), change, when=still_open))

    def subtract(self, period: str, spent: Spent, *, transaction: Transaction) -> None:
        """Deduct an amount in the transaction, regardless of the remainder.

        Raises (when the transaction is committed):
            NoBudget: the month has no budget.
        """
        transaction.update(self._key(period), _adding(spent), when=PRESENT, otherwise=lambda _: BudgetMissing())

    def correct(self, period: str, before: Budget, spent: Spent) -> None:
        """Set the amount spent this month; reservations are not changed.

        Args:
            period: the month.
            before: the budget as it was read.
            spent: the new amount.

        Raises:
            BudgetMoved: the budget has changed since.
        """
        month = self._month(period)
        change = month.setting(
            tokens_left=before.tokens_left + before.spent.tokens - spent.tokens,
            requests_left=before.requests_left + before.spent.requests - spent.requests,
        )
        unchanged = month.equal(tokens_left=before.tokens_left, requests_left=before.requests_left)
        transaction = self.transaction()
        transaction.update(month.key(), change, when=unchanged, otherwise=refuse_with(BudgetMoved()))
        self.store.commit(transaction)

    def schedule_sweep(self, period: str, *, at: datetime) -> None:
        """Schedule the next sweep; none until the next reservation if no call is open and no run executes or waits."""
        key = self._key(period)
        idle = Expression(
            "size(#open) = :none AND (attribute_not_exists(#executing) OR size(#executing) = :none "
            "AND (#waiting = :none OR #moved_to <> :nowhere))",
            {"none": 0, "nowhere": NOT_MOVED},
        )
        if self.store.try_update(key, Expression("REMOVE #due_pk, #due_sk"), when=idle):
            later = setting({"due_sk": MONTHS_DUE.place(at, self.tenant_id)["due_sk"]})
            self.store.try_update(key, later, when=Expression("attribute_exists(#due_pk)"))

    def _month(self, period: str) -> MonthTable:
        return MonthTable(self.store, self.tenant_id, period)

    def _key(self, period: str) -> Key:
        return self._month(period).key()


class AllBudgets:
    """The budgets of all tenants, for events, operators and the reaper.

    Args:
        store: the slice of every tenant.
        max_runs: see `BudgetTable`.
        table: the table of one tenant.
    """

    def __init__(
        self, store: Store, *, max_runs: int = MAX_EXECUTING_RUNS, table: type[BudgetTable] = BudgetTable
    ) -> None:
        self._store = store
        self._max_runs = max_runs
        self._table = table
        self.queue = DueQueue(store, MONTHS_DUE, DueMonthTable, batch=_SWEPT_TOGETHER)

    def of(self, tenant_id: str) -> BudgetTable:
        """Return the budgets of one tenant."""
        return self._table(self._store, tenant_id, max_runs=self._max_runs)


def _adding(spent: Spent, *, tokens: int = 0, requests: int = 0) -> Expression:
    """Return the update that adds reserved amounts to the remainder, and deducts the spent ones."""
    uncertain = {"uncertain": spent.uncertain_tokens} if spent.uncertain_tokens else {}
    left = {"tokens_left": tokens - spent.tokens, "requests_left": requests - spent.requests}
    return adding({**left, **uncertain})


def _enough(
    reservation: Reservation, grant: Grant, *, limits: PlanLimits, max_open: int, takes_slot: bool
) -> Expression:
    """Return the condition of a reservation."""
    open_call = f"#open.#{reservation.name}"
    conditions = ["#seq = :seq", f"attribute_not_exists({open_call})", "size(#open) < :most_open"]
    values: dict[str, Value] = {"seq": limits.seq, "most_open": max_open}
    if takes_slot:
        conditions += ["attribute_exists(#executing)", "size(#executing) < #slots_limit"]
        conditions += ["#waiting <= :none", "#moved_to = :nowhere"]
        # The environment's share can change while the version of the tenant's copy stays the same.
        conditions.append("(attribute_not_exists(#runs_limit) OR #runs_limit = :runs)")
        values |= {"none": 0, "nowhere": NOT_MOVED, "runs": limits.runs}
    if limits.limits_tokens:
        conditions.append("#tokens_left >= :if_left_tokens")
        values["if_left_tokens"] = grant.min_left_tokens
    if limits.limits_requests and reservation.requests:
        conditions.append("#requests_left >= :requests")
    return Expression(" AND ".join(conditions), values)
