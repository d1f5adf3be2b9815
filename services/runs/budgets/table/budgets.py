"""The budgets of one slice. What is left and what is open change together, in one update of one item by itself."""

from dataclasses import dataclass
from datetime import datetime

from services.runs.domain.budget import Budget, Reservation, Share, Spent, Terms
from services.runs.errors import BudgetMoved
from services.runs.table.months import NOWHERE, budget_from_item, month_key, reservation_to_item, terms_to_item
from services.runs.table.slots import DUE, Freed, SlotTable, due_place
from shared.storage.due import DueEntry, DueQueue
from shared.storage.items import Reader, Value
from shared.storage.store import Store, Unchanged
from shared.storage.transaction import ABSENT, PRESENT, Expression, Transaction, refuse_with


@dataclass(frozen=True, slots=True)
class DueBudget:
    """A budget whose open calls are to be looked at."""

    tenant_id: str
    period: str
    budget: Budget


@dataclass(frozen=True, slots=True)
class NotHeld:
    """A reservation that was not made, and the budget that did not let it be made; None: there is none yet."""

    budget: Budget | None


class NoBudget(Exception):
    """There is none of this month yet."""


class BudgetTable:
    """The budgets, one of each tenant and month."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.slots = SlotTable(store)
        self.queue = DueQueue(store, DUE)

    def find(self, tenant_id: str, period: str) -> Budget | None:
        """The budget of a month, or None when nothing was used in it."""
        item = self._store.get(month_key(tenant_id, period))
        return budget_from_item(item) if item else None

    def create(self, tenant_id: str, period: str, budget: Budget) -> None:
        """Begin a month, unless somebody has."""
        terms = budget.terms
        begun = Expression(
            "SET #tenant_id = :tenant_id, #period = :period, #seq = :seq, #requests_limit = :requests_limit, "
            "#tokens_limit = :tokens_limit, #overage = :overage, #runs_limit = :runs_limit, "
            "#requests_left = :requests_left, #tokens_left = :tokens_left, #open = :open",
            {
                "tenant_id": tenant_id,
                "period": period,
                **terms_to_item(terms),
                "requests_left": budget.requests_left,
                "tokens_left": budget.tokens_left,
                "open": {},
            },
        )
        self._store.try_update(month_key(tenant_id, period), begun, when=ABSENT)

    def change_terms(self, tenant_id: str, period: str, before: Budget, terms: Terms) -> None:
        """Apply another plan, unless somebody has, or it is not the next one any more."""
        after = before.under(terms)
        slots, more, opened = "", dict[str, Value](), "attribute_not_exists(#executing)"
        if before.slots and after.slots:
            slots, more = ", #slots_limit = #slots_limit + :slots_more", {"slots_more": terms.runs - before.terms.runs}
            opened = "attribute_exists(#executing)"
        change = Expression(
            "SET #seq = :seq, #requests_limit = :requests_limit, #tokens_limit = :tokens_limit, #overage = :overage, "
            "#runs_limit = :runs_limit, #requests_left = #requests_left + :requests_more, "
            f"#tokens_left = #tokens_left + :tokens_more{slots}",
            {
                **terms_to_item(terms),
                "requests_more": after.requests_left - before.requests_left,
                "tokens_more": after.tokens_left - before.tokens_left,
                **more,
            },
        )
        unchanged = Expression(f"#seq = :seq_before AND {opened}", {"seq_before": before.terms.seq})
        self._store.try_update(month_key(tenant_id, period), change, when=unchanged)

    def reserve(
        self,
        tenant_id: str,
        period: str,
        reservation: Reservation,
        share: Share,
        *,
        terms: Terms,
        most_open: int,
        swept_at: datetime,
        takes_slot: bool,
    ) -> NotHeld | None:
        """Hold the share for the call, if all this is so: the plan is this one, enough is left, it is not open yet.

        Args:
            tenant_id: whose.
            period: the month.
            reservation: of the call.
            share: what must be left for it.
            terms: the plan that this was decided under.
            most_open: calls may be open afterwards.
            swept_at: when the sweep looks at it, unless it does so before.
            takes_slot: whether the run takes a slot of this month, which must be free and wanted by no run that waits.

        Returns:
            None when it is held.
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
                "due_pk": self._store.owned.due_key(DUE),
                "due_sk": due_place(swept_at, tenant_id),
                **({"since": reservation.touched_ms} if takes_slot else {}),
            },
        )
        enough = _enough(reservation, share, terms=terms, most_open=most_open, takes_slot=takes_slot)
        unchanged = self._store.try_update(month_key(tenant_id, period), change, when=enough)
        return NotHeld(budget_from_item(unchanged.there) if unchanged.there else None) if unchanged else None

    def take_over(
        self, tenant_id: str, period: str, reservation: Reservation, *, now_ms: int, holds_slot: bool
    ) -> Reservation | None:
        """Go on with a reservation that an earlier try of the same request has left; None when it is gone.

        Args:
            tenant_id: whose.
            period: the month.
            reservation: as it was seen.
            now_ms: the time.
            holds_slot: a slot was taken with it, and is touched as well.
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
        """Close an open call, and give back what it has not used; None when it is not open (any more).

        Args:
            tenant_id: whose.
            period: the month of the reservation.
            reservation: as it was made.
            spent: what the call has taken.
            unless_touched: for who does not know whether somebody goes on with it.
            frees: the run whose slot of this month is freed in the same update.
        """
        open_call = f"#open.#{reservation.name}"
        seen, slot = (", #waiting = #waiting, #moved_to = #moved_to", f", #executing.#{frees}") if frees else ("", "")
        change = Expression(
            "SET #tokens_left = #tokens_left + :tokens_back, #requests_left = #requests_left + :requests_back"
            f"{seen} REMOVE {open_call}{slot}",
            {
                "tokens_back": reservation.tokens - spent.tokens,
                "requests_back": reservation.requests - spent.requests,
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
        """Let the transaction take this, whatever is left.

        Raises (when it is committed):
            NoBudget: of this month there is none.
        """
        change = Expression(
            "SET #tokens_left = #tokens_left - :tokens, #requests_left = #requests_left - :requests",
            {"tokens": spent.tokens, "requests": spent.requests},
        )
        transaction.update(month_key(tenant_id, period), change, when=PRESENT, otherwise=lambda _: NoBudget())

    def correct(self, tenant_id: str, period: str, before: Budget, spent: Spent) -> None:
        """Make it say that so much was spent; what is open stays so.

        Args:
            tenant_id: whose.
            period: the month.
            before: as it was read.
            spent: what it should say.

        Raises:
            BudgetMoved: it has changed since.
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
        """Return the budget whose open calls and slots are to be looked at; None when it is gone."""
        item = self._store.get(entry.key)
        if item is None:
            return None
        reader = Reader(item)
        return DueBudget(reader.text("tenant_id"), reader.text("period"), budget_from_item(item))

    def look_again(self, tenant_id: str, period: str, *, at: datetime) -> None:
        """Let the sweep come back when something is open, executing or waiting, else at a reservation."""
        key = month_key(tenant_id, period)
        idle = Expression(
            "size(#open) = :none AND (attribute_not_exists(#executing) OR size(#executing) = :none "
            "AND (#waiting = :none OR #moved_to <> :nowhere))",
            {"none": 0, "nowhere": NOWHERE},
        )
        if self._store.try_update(key, Expression("REMOVE #due_pk, #due_sk"), when=idle):
            later = Expression("SET #due_sk = :due_sk", {"due_sk": due_place(at, tenant_id)})
            self._store.try_update(key, later, when=Expression("attribute_exists(#due_pk)"))


def _enough(reservation: Reservation, share: Share, *, terms: Terms, most_open: int, takes_slot: bool) -> Expression:
    """Return the condition under which a call may be reserved."""
    open_call = f"#open.#{reservation.name}"
    conditions = ["#seq = :seq", f"attribute_not_exists({open_call})", "size(#open) < :most_open"]
    values: dict[str, Value] = {"seq": terms.seq, "most_open": most_open}
    if takes_slot:
        conditions += ["attribute_exists(#executing)", "size(#executing) < #slots_limit"]
        conditions += ["#waiting <= :none", "#moved_to = :nowhere"]
        values |= {"none": 0, "nowhere": NOWHERE}
    if terms.hold_tokens:
        conditions.append("#tokens_left >= :if_left_tokens")
        values["if_left_tokens"] = share.if_left_tokens
    if terms.hold_requests and reservation.requests:
        conditions.append("#requests_left >= :requests")
    return Expression(" AND ".join(conditions), values)
