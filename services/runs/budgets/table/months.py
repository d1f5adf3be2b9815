"""The item of a tenant's month: its key, and the conversion of its parts."""

from collections.abc import Mapping
from typing import cast

from services.runs.budgets.domain import Budget, PlanLimits, Reservation, Slots
from services.runs.partitions import SLICE
from services.runs.runs.domain.run import CallId
from shared.plans import LIMITS, Plan
from shared.storage.items import Item, Key, Reader, Value

NOT_MOVED = ""
"""The value of `moved_to` in the month that currently holds the tenant's slots."""


def month_key(tenant_id: str, period: str) -> Key:
    """Return the key of a month's item."""
    return Key(SLICE.key(tenant_id, "BUDGET", period), "BUDGET")


def limits_to_item(limits: PlanLimits) -> dict[str, Value]:
    """Return the attributes of the limits."""
    return {
        "seq": limits.seq,
        "requests_limit": limits.requests,
        "tokens_limit": limits.tokens,
        "overage": limits.overage,
        "runs_limit": limits.runs,
    }


def reservation_to_item(reservation: Reservation) -> dict[str, Value]:
    """Return the entry of an open call."""
    return {"run_id": reservation.call.run_id, "tokens": reservation.tokens, "at": reservation.touched_ms}


def budget_from_item(item: Item) -> Budget:
    """Return the budget that this item holds."""
    reader = Reader(item)
    reservations = cast("Mapping[str, Item]", item["open"])
    return Budget(
        limits=_limits(reader),
        requests_left=reader.integer("requests_left"),
        tokens_left=reader.integer("tokens_left"),
        open={name: _reservation(name, Reader(entry)) for name, entry in reservations.items()},
        slots=_slots(reader) if "executing" in item else None,
        uncertain_tokens=reader.optional_integer("uncertain") or 0,
    )


def _limits(reader: Reader) -> PlanLimits:
    runs = reader.optional_integer("runs_limit")
    return PlanLimits(
        seq=reader.integer("seq"),
        requests=reader.integer("requests_limit"),
        tokens=reader.integer("tokens_limit"),
        overage=reader.flag("overage"),
        # A month that began in a release without slots lacks the limit until the tenant's plan changes.
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
    return Reservation(call, reader.integer("tokens"), reader.integer("at"), stored_name=name)
