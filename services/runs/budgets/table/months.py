"""The item of a tenant's month: its key, and its parts as they are stored."""

from collections.abc import Mapping
from typing import cast

from services.runs.domain.budget import Budget, Reservation, Slots, Terms
from services.runs.domain.run import CallId
from services.runs.table import SLICE
from shared.plans import LIMITS, Plan
from shared.storage.items import Item, Key, Reader, Value

NOWHERE = ""
"""The value of `moved_to` in the month that holds the tenant's slots."""


def month_key(tenant_id: str, period: str) -> Key:
    """Return the key of a month's item."""
    return Key(SLICE.key(tenant_id, "BUDGET", period), "BUDGET")


def terms_to_item(terms: Terms) -> dict[str, Value]:
    """Return the attributes that hold the plan's limits."""
    return {
        "seq": terms.seq,
        "requests_limit": terms.requests,
        "tokens_limit": terms.tokens,
        "overage": terms.overage,
        "runs_limit": terms.runs,
    }


def reservation_to_item(reservation: Reservation) -> dict[str, Value]:
    """Return the entry of an open call."""
    return {"run_id": reservation.call.run_id, "tokens": reservation.tokens, "at": reservation.touched_ms}


def budget_from_item(item: Item) -> Budget:
    """Return the budget that this item holds."""
    reader = Reader(item)
    held = cast("Mapping[str, Item]", item["open"])
    return Budget(
        terms=_terms(reader),
        requests_left=reader.integer("requests_left"),
        tokens_left=reader.integer("tokens_left"),
        open={name: _reservation(name, Reader(entry)) for name, entry in held.items()},
        slots=_slots(reader) if "executing" in item else None,
    )


def _terms(reader: Reader) -> Terms:
    runs = reader.optional_integer("runs_limit")
    return Terms(
        seq=reader.integer("seq"),
        requests=reader.integer("requests_limit"),
        tokens=reader.integer("tokens_limit"),
        overage=reader.flag("overage"),
        # Only a month that began before there were slots has none, until a tenant's next change of plan.
        runs=LIMITS[Plan.FREE].max_concurrent_runs if runs is None else runs,
    )


def _slots(reader: Reader) -> Slots:
    return Slots(
        executing=reader.integers("executing"),
        limit=reader.integer("slots_limit"),
        waiting=reader.integer("waiting"),
        waiting_since_ms=reader.integer("waiting_at"),
        moved_to=reader.text("moved_to") or None,
    )


def _reservation(name: str, reader: Reader) -> Reservation:
    _, attempt, number = name.split("_")
    call = CallId(reader.text("run_id"), int(attempt), int(number))
    return Reservation(call, reader.integer("tokens"), reader.integer("at"), stored_as=name)
