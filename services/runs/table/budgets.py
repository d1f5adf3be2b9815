"""The budgets of one slice. What is left and what is open change together, in one update of one item by itself."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from services.runs.domain.budget import Budget, Reservation, Share, Spent, Terms
from services.runs.domain.run import CallId
from services.runs.errors import BudgetMoved
from services.runs.table import SLICE
from shared.storage.items import Item, Key, Reader, Value, key_of
from shared.storage.store import Store
from shared.storage.transaction import ABSENT, PRESENT, Expression, Transaction, refuse_with
from shared.times import to_text

DUE = SLICE.due_key("BUDGET")


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

    def find(self, tenant_id: str, period: str) -> Budget | None:
        """The budget of a month, or None when nothing was used in it."""
        item = self._store.get(_key(tenant_id, period))
        return _from_item(item) if item else None

    def create(self, tenant_id: str, period: str, budget: Budget) -> None:
        """Begin a month, unless somebody has."""
        terms = budget.terms
        begun = Expression(
            "SET #tenant_id = :tenant_id, #period = :period, #seq = :seq, #requests_limit = :requests_limit, "
            "#tokens_limit = :tokens_limit, #overage = :overage, #requests_left = :requests_left, "
            "#tokens_left = :tokens_left, #open = :open",
            {
                "tenant_id": tenant_id,
                "period": period,
                **_terms(terms),
                "requests_left": budget.requests_left,
                "tokens_left": budget.tokens_left,
                "open": {},
            },
        )
        self._store.try_update(_key(tenant_id, period), begun, when=ABSENT)

    def change_terms(self, tenant_id: str, period: str, before: Budget, terms: Terms) -> None:
        """Apply another plan, unless somebody has, or it is not the next one any more."""
        after = before.under(terms)
        change = Expression(
            "SET #seq = :seq, #requests_limit = :requests_limit, #tokens_limit = :tokens_limit, #overage = :overage, "
            "#requests_left = #requests_left + :requests_more, #tokens_left = #tokens_left + :tokens_more",
            {
                **_terms(terms),
                "requests_more": after.requests_left - before.requests_left,
                "tokens_more": after.tokens_left - before.tokens_left,
            },
        )
        unchanged = Expression("#seq = :seq_before", {"seq_before": before.terms.seq})
        self._store.try_update(_key(tenant_id, period), change, when=unchanged)

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

        Returns:
            None when it is held.
        """
        open_call = f"#open.#{reservation.name}"
        change = Expression(
            f"SET {open_call} = :held, #tokens_left = #tokens_left - :tokens, "
            "#requests_left = #requests_left - :requests, "
            "#due_pk = if_not_exists(#due_pk, :due_pk), #due_sk = if_not_exists(#due_sk, :due_sk)",
            {
                "held": _held(reservation),
                "tokens": reservation.tokens,
                "requests": reservation.requests,
                "due_pk": DUE,
                "due_sk": _due_place(swept_at, tenant_id),
            },
        )
        conditions = ["#seq = :seq", f"attribute_not_exists({open_call})", "size(#open) < :most_open"]
        values: dict[str, Value] = {"seq": terms.seq, "most_open": most_open}
        if terms.hold_tokens:
            conditions.append("#tokens_left >= :if_left_tokens")
            values["if_left_tokens"] = share.if_left_tokens
        if terms.hold_requests and reservation.requests:
            conditions.append("#requests_left >= :requests")
        enough = Expression(" AND ".join(conditions), values)
        unchanged = self._store.try_update(_key(tenant_id, period), change, when=enough)
        return NotHeld(_from_item(unchanged.there) if unchanged.there else None) if unchanged else None

    def take_over(self, tenant_id: str, period: str, reservation: Reservation, *, now_ms: int) -> Reservation | None:
        """Go on with a reservation that an earlier try of the same request has left; None when it is gone."""
        touched_ms = max(now_ms, reservation.touched_ms + 1)
        open_call = f"#open.#{reservation.name}"
        touch = Expression(f"SET {open_call}.#at = :now_ms", {"now_ms": touched_ms})
        untouched = Expression(f"{open_call}.#at = :at", {"at": reservation.touched_ms})
        if self._store.try_update(_key(tenant_id, period), touch, when=untouched):
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
    ) -> bool:
        """Close an open call, and give back what it has not used; False when it is not open (any more).

        Args:
            tenant_id: whose.
            period: the month of the reservation.
            reservation: as it was made.
            spent: what the call has taken.
            unless_touched: for who does not know whether somebody goes on with it.
        """
        open_call = f"#open.#{reservation.name}"
        change = Expression(
            "SET #tokens_left = #tokens_left + :tokens_back, #requests_left = #requests_left + :requests_back "
            f"REMOVE {open_call}",
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
        return self._store.try_update(_key(tenant_id, period), change, when=still_open) is None

    def subtract(self, tenant_id: str, period: str, spent: Spent, *, transaction: Transaction) -> None:
        """Let the transaction take this, whatever is left.

        Raises (when it is committed):
            NoBudget: of this month there is none.
        """
        change = Expression(
            "SET #tokens_left = #tokens_left - :tokens, #requests_left = #requests_left - :requests",
            {"tokens": spent.tokens, "requests": spent.requests},
        )
        transaction.update(_key(tenant_id, period), change, when=PRESENT, otherwise=lambda _: NoBudget())

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
        transaction.update(_key(tenant_id, period), change, when=unchanged, otherwise=refuse_with(BudgetMoved()))
        self._store.commit(transaction)

    def due(self, *, now: datetime) -> Iterator[DueBudget]:
        """Budgets of all tenants whose open calls are to be looked at."""
        until = Expression("#due_pk = :pk AND #due_sk <= :now", {"pk": DUE, "now": to_text(now)})
        for entry in self._store.query(until, index="due", limit=100).items:
            item = self._store.get(key_of(entry))
            if item:
                reader = Reader(item)
                yield DueBudget(reader.text("tenant_id"), reader.text("period"), _from_item(item))

    def look_again(self, tenant_id: str, period: str, *, at: datetime) -> None:
        """Let the sweep come back when there is something open, and not before a reservation otherwise."""
        key = _key(tenant_id, period)
        rest = Expression("REMOVE #due_pk, #due_sk")
        if self._store.try_update(key, rest, when=Expression("size(#open) = :none", {"none": 0})):
            later = Expression("SET #due_sk = :due_sk", {"due_sk": _due_place(at, tenant_id)})
            self._store.try_update(key, later, when=Expression("attribute_exists(#due_pk)"))


def _key(tenant_id: str, period: str) -> Key:
    return Key(SLICE.key(tenant_id, "BUDGET", period), "BUDGET")


def _due_place(at: datetime, tenant_id: str) -> str:
    return f"{to_text(at)}#{tenant_id}"


def _terms(terms: Terms) -> dict[str, Value]:
    return {
        "seq": terms.seq,
        "requests_limit": terms.requests,
        "tokens_limit": terms.tokens,
        "overage": terms.overage,
    }


def _held(reservation: Reservation) -> dict[str, Value]:
    return {"run_id": reservation.call.run_id, "tokens": reservation.tokens, "at": reservation.touched_ms}


def _from_item(item: Item) -> Budget:
    reader = Reader(item)
    held = cast("Mapping[str, Item]", item["open"])
    return Budget(
        terms=Terms(
            seq=reader.integer("seq"),
            requests=reader.integer("requests_limit"),
            tokens=reader.integer("tokens_limit"),
            overage=reader.flag("overage"),
        ),
        requests_left=reader.integer("requests_left"),
        tokens_left=reader.integer("tokens_left"),
        open={name: _reservation(name, Reader(entry)) for name, entry in held.items()},
    )


def _reservation(name: str, reader: Reader) -> Reservation:
    _, attempt, number = name.split("_")
    call = CallId(reader.text("run_id"), int(attempt), int(number))
    return Reservation(call, reader.integer("tokens"), reader.integer("at"))
