"""The budgets of one slice. The remainder and the open calls change together, in one update of a single item."""

from dataclasses import dataclass
from datetime import datetime

from services.runs.budgets.domain import MAX_EXECUTING_RUNS, Budget, Grant, PlanLimits, Reservation, Spent
from services.runs.budgets.table.months import (
    NOT_MOVED,
    budget_from_item,
    limits_to_item,
    month_key,
    reservation_to_item,
)
from services.runs.budgets.table.slots import DUE, Freed, SlotTable
from services.runs.errors import BudgetMoved
from shared.storage.due import DueEntry, DueQueue
from shared.storage.items import Reader, Value
from shared.storage.store import Store, Unchanged
from shared.storage.transaction import ABSENT, PRESENT, Expression, Transaction, refuse_with
from shared.tenancy.context import TenantAccess


@dataclass(frozen=True, slots=True)
class DueBudget:
    """A budget whose open calls and slots are due for the sweep."""

    tenant_id: str
    period: str
    budget: Budget


@dataclass(frozen=True, slots=True)
class Denied:
    """A refused reservation, with the budget that refused it; None if the month has no budget yet."""

    budget: Budget | None


class BudgetMissing(Exception):
    """The month has no budget yet."""


class BudgetTable:
    """The budgets, one for each tenant and month.

    Args:
        store: the slice.
        max_runs: the maximum number of executing runs of one tenant, regardless of its plan.
    """

    def __init__(self, store: Store, *, max_runs: int = MAX_EXECUTING_RUNS) -> None:
        self._store = store
        self._max_runs = max_runs
        self.slots = SlotTable(store)
        self.queue = DueQueue(store, DUE)

    def limits_of(self, access: TenantAccess) -> PlanLimits:
        """Return the limits of the tenant in this environment."""
        return PlanLimits.of(access, max_runs=self._max_runs)

    def find(self, tenant_id: str, period: str) -> Budget | None:
        """Return the budget of a month, or None before its first use."""
        item = self._store.get(month_key(tenant_id, period))
        return budget_from_item(item) if item else None

    def create(self, tenant_id: str, period: str, budget: Budget) -> None:
        """Create the budget of a month, unless it exists."""
        limits = budget.limits
        begun = Expression(
            "SET #tenant_id = :tenant_id, #period = :period, #seq = :seq, #requests_limit = :requests_limit, "
            "#tokens_limit = :tokens_limit, #overage = :overage, #runs_limit = :runs_limit, "
            "#requests_left = :requests_left, #tokens_left = :tokens_left, #open = :open",
            {
                "tenant_id": tenant_id,
                "period": period,
                **limits_to_item(limits),
                "requests_left": budget.requests_left,
                "tokens_left": budget.tokens_left,
                "open": {},
            },
        )
        self._store.try_update(month_key(tenant_id, period), begun, when=ABSENT)

    def change_limits(self, tenant_id: str, period: str, before: Budget, limits: PlanLimits) -> None:
        """Apply other limits, unless the budget's limits or slots have changed since it was read."""
        after = before.under(limits)
        slots, more, opened = "", dict[str, Value](), "attribute_not_exists(#executing)"
        if before.slots and after.slots:
            slots, more = (
                ", #slots_limit = #slots_limit + :slots_more",
                {"slots_more": limits.runs - before.limits.runs},
            )
            opened = "attribute_exists(#executing)"
        change = Expression(
            "SET #seq = :seq, #requests_limit = :requests_limit, #tokens_limit = :tokens_limit, #overage = :overage, "
            "#runs_limit = :runs_limit, #requests_left = #requests_left + :requests_more, "
            f"#tokens_left = #tokens_left + :tokens_more{slots}",
            {
                **limits_to_item(limits),
                "requests_more": after.requests_left - before.requests_left,
                "tokens_more": after.tokens_left - before.tokens_left,
                **more,
            },
        )
        unchanged = Expression(
            f"#seq = :seq_before AND {opened} AND (attribute_not_exists(#runs_limit) OR #runs_limit = :runs_before)",
            {"seq_before": before.limits.seq, "runs_before": before.limits.runs},
        )
        self._store.try_update(month_key(tenant_id, period), change, when=unchanged)

    def reserve(
        self,
        tenant_id: str,
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
            tenant_id: the tenant.
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
        open_call, slot = f"#open.#{reservation.name}", f"#executing.#{reservation.call.run_id}"
        change = Expression(
            f"SET {open_call} = :held, #tokens_left = #tokens_left - :tokens, "
            "#requests_left = #requests_left - :requests, "
            "#due_pk = if_not_exists(#due_pk, :due_pk), #due_sk = if_not_exists(#due_sk, :due_sk)"
            + (f", {slot} = :since" if takes_slot else ""),
            {
                "held": reservation_to_item(reservation),
                "tokens": reservation.tokens,
                "requests": reservation.requests,
                **DUE.place(swept_at, tenant_id),
                **({"since": reservation.touched_ms} if takes_slot else {}),
            },
        )
        enough = _enough(reservation, grant, limits=limits, max_open=max_open, takes_slot=takes_slot)
        unchanged = self._store.try_update(month_key(tenant_id, period), change, when=enough)
        return Denied(budget_from_item(unchanged.existing) if unchanged.existing else None) if unchanged else None

    def take_over(
        self, tenant_id: str, period: str, reservation: Reservation, *, now_ms: int, holds_slot: bool
    ) -> Reservation | None:
        """Take over the reservation of an earlier try of the same request; return None if it is gone or was touched.

        Args:
            tenant_id: the tenant.
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
        if self._store.try_update(month_key(tenant_id, period), touch, when=untouched):
            return None
        return Reservation(reservation.call, reservation.tokens, touched_ms)

    def settle(
        self,
        tenant_id: str,
        period: str,
        reservation: Reservation,
        spent: Spent,
        *,
        unless_touched: bool = False,
        frees: str | None = None,
    ) -> Freed | None:
        """Close an open call and return its unused part to the budget; return None if the call is not open.

        Args:
            tenant_id: the tenant.
            period: the month of the reservation.
            reservation: the reservation as it was made.
            spent: the usage of the call.
            unless_touched: refuse if another request has taken over the reservation since it was read.
            frees: the run whose slot of this month is freed in the same update.
        """
        open_call = f"#open.#{reservation.name}"
        seen, slot = (", #waiting = #waiting, #moved_to = #moved_to", f", #executing.#{frees}") if frees else ("", "")
        uncertain, more = _uncertain(spent)
        change = Expression(
            "SET #tokens_left = #tokens_left + :tokens_back, #requests_left = #requests_left + :requests_back"
            f"{uncertain}{seen} REMOVE {open_call}{slot}",
            {
                "tokens_back": reservation.tokens - spent.tokens,
                "requests_back": reservation.requests - spent.requests,
                **more,
            },
        )
        conditions, values = [f"{open_call}.#tokens = :tokens"], dict[str, Value](tokens=reservation.tokens)
        if unless_touched:
            conditions.append(f"{open_call}.#at = :at")
            values["at"] = reservation.touched_ms
        still_open = Expression(" AND ".join(conditions), values)
        after = self._store.update_and_see(month_key(tenant_id, period), change, when=still_open)
        return None if isinstance(after, Unchanged) else Freed.of(period, after)

    def subtract(self, tenant_id: str, period: str, spent: Spent, *, transaction: Transaction) -> None:
        """Deduct an amount in the transaction, regardless of the remainder.

        Raises (when the transaction is committed):
            NoBudget: the month has no budget.
        """
        uncertain, more = _uncertain(spent)
        change = Expression(
            f"SET #tokens_left = #tokens_left - :tokens, #requests_left = #requests_left - :requests{uncertain}",
            {"tokens": spent.tokens, "requests": spent.requests, **more},
        )
        transaction.update(month_key(tenant_id, period), change, when=PRESENT, otherwise=lambda _: BudgetMissing())

    def correct(self, tenant_id: str, period: str, before: Budget, spent: Spent) -> None:
        """Set the amount spent this month; reservations are not changed.

        Args:
            tenant_id: the tenant.
            period: the month.
            before: the budget as it was read.
            spent: the new amount.

        Raises:
            BudgetMoved: the budget has changed since.
        """
        change = Expression(
            "SET #tokens_left = :tokens, #requests_left = :requests",
            {
                "tokens": before.tokens_left + before.spent.tokens - spent.tokens,
                "requests": before.requests_left + before.spent.requests - spent.requests,
            },
        )
        unchanged = Expression(
            "#tokens_left = :tokens_before AND #requests_left = :requests_before",
            {"tokens_before": before.tokens_left, "requests_before": before.requests_left},
        )
        transaction = Transaction(tenant_id)
        transaction.update(month_key(tenant_id, period), change, when=unchanged, otherwise=refuse_with(BudgetMoved()))
        self._store.commit(transaction)

    def due_at(self, entry: DueEntry) -> DueBudget | None:
        """Return the budget of a due entry; None if it is gone."""
        item = self._store.get(entry.key)
        if item is None:
            return None
        reader = Reader(item)
        return DueBudget(reader.text("tenant_id"), reader.text("period"), budget_from_item(item))

    def schedule_sweep(self, tenant_id: str, period: str, *, at: datetime) -> None:
        """Schedule the next sweep; none until the next reservation if no call is open and no run executes or waits."""
        key = month_key(tenant_id, period)
        idle = Expression(
            "size(#open) = :none AND (attribute_not_exists(#executing) OR size(#executing) = :none "
            "AND (#waiting = :none OR #moved_to <> :nowhere))",
            {"none": 0, "nowhere": NOT_MOVED},
        )
        if self._store.try_update(key, Expression("REMOVE #due_pk, #due_sk"), when=idle):
            later = Expression("SET #due_sk = :due_sk", {"due_sk": DUE.place(at, tenant_id)["due_sk"]})
            self._store.try_update(key, later, when=Expression("attribute_exists(#due_pk)"))


def _uncertain(spent: Spent) -> tuple[str, dict[str, Value]]:
    """Return the part of an update that counts uncertain tokens; most calls have none."""
    if not spent.uncertain_tokens:
        return "", {}
    return (
        ", #uncertain = if_not_exists(#uncertain, :no_tokens) + :uncertain",
        {"uncertain": spent.uncertain_tokens, "no_tokens": 0},
    )


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
