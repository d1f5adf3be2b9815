"""The item of one month of a tenant: its budget, its open calls and its slots."""

from collections.abc import Mapping
from dataclasses import dataclass

from services.runs.budgets.domain import Budget, Freed, PlanLimits, Reservation, Slots
from services.runs.partitions import SLICE
from services.runs.runs.domain.run import CallId
from shared.plans import LIMITS, Plan
from shared.storage.codec import Codec, Conversion
from shared.storage.due import DueIndex
from shared.storage.items import Item, Value
from shared.storage.store import Store, Unchanged
from shared.storage.table import TenantTable, setting
from shared.storage.transaction import Expression

MONTHS_DUE = DueIndex(SLICE, "BUDGET")
"""By the time at which the sweep handles the month."""
NOT_MOVED = ""
"""The value of `moved_to` in the month that currently holds the tenant's slots."""
_RUNS_BEFORE_SLOTS = LIMITS[Plan.FREE].max_concurrent_runs
"""The limit of a month that began in a release without slots, until the tenant's plan changes."""


def _none_if_not_moved(month: str) -> str | None:
    return None if month == NOT_MOVED else month


_LIMITS = Codec(
    PlanLimits,
    names={"requests": "requests_limit", "tokens": "tokens_limit", "runs": "runs_limit"},
    always=("runs",),
)
_SLOTS = Codec(
    Slots,
    names={"limit": "slots_limit", "waiting_since_ms": "waiting_at"},
    conversions={str: Conversion(None, _none_if_not_moved)},
)
_OPEN_CALL = Codec(Reservation, names={"touched_ms": "at"}, given=("call", "stored_name"))


def _open_to_map(reservations: Mapping[str, Reservation]) -> dict[str, Value]:
    return {name: _open_call_to_map(reservation) for name, reservation in reservations.items()}


def _open_call_to_map(reservation: Reservation) -> dict[str, Value]:
    """Return the entry of an open call; its key has the other parts of the call's id."""
    return {"run_id": reservation.call.run_id, **_OPEN_CALL.encode(reservation)}


def _open_from_map(entries: Mapping[str, Item]) -> dict[str, Reservation]:
    return {name: _open_call_from_map(name, entry) for name, entry in entries.items()}


def _open_call_from_map(name: str, entry: Item) -> Reservation:
    _, attempt, number = name.split("_")
    call = CallId(str(entry["run_id"]), int(attempt), int(number))
    return _OPEN_CALL.decode(entry, call=call, stored_name=name)


class MonthTable(TenantTable[Budget]):
    """The budget of one tenant's month."""

    prefix = "BUDGET"
    codec = Codec(
        Budget,
        names={"uncertain_tokens": "uncertain"},
        flat={"limits": _LIMITS, "slots": _SLOTS},
        conversions={Mapping[str, Reservation]: Conversion(_open_to_map, _open_from_map)},
        always=("open",),
    )

    def __init__(self, store: Store, tenant_id: str, period: str) -> None:
        super().__init__(store, tenant_id, "BUDGET", period)
        self.period = period

    def decode(self, item: Item) -> Budget:
        """Return the budget of an item."""
        return super().decode(item if "runs_limit" in item else {**item, "runs_limit": _RUNS_BEFORE_SLOTS})

    def open_entry(self, reservation: Reservation) -> dict[str, Value]:
        """Return the entry of an open call."""
        return _open_call_to_map(reservation)

    def opening(self, slots: Slots, *, runs: int) -> Expression:
        """Return the update that makes this month hold the tenant's slots, under a limit of executing runs."""
        return setting({**self.codec.values(slots=slots), "moved_to": NOT_MOVED, "runs_limit": runs})

    def refused(self, unchanged: Unchanged) -> Budget | None:
        """Return the budget that has refused an update, or None if there is none."""
        return self.decode(unchanged.existing) if unchanged.existing else None

    def freed(self, after: Item | Unchanged) -> Freed | None:
        """Return the result of an update that freed a slot or settled a call, or None if it was refused."""
        if isinstance(after, Unchanged):
            return None
        moved_to = str(after.get("moved_to") or NOT_MOVED)
        # A month whose slots were moved no longer knows the number of waiting runs.
        return Freed(moved_to or self.period, bool(moved_to) or bool(after.get("waiting")))


@dataclass(frozen=True, slots=True)
class DueBudget:
    """A budget whose open calls and slots are due for the sweep."""

    tenant_id: str
    period: str
    budget: Budget


class DueMonthTable(TenantTable[DueBudget]):
    """The months of one tenant that are due."""

    prefix = MonthTable.prefix
    codec = Codec(DueBudget, given=("budget",))

    def _given(self, item: Item) -> dict[str, object]:
        return {"budget": MonthTable(self.store, self.tenant_id, str(item["period"])).decode(item)}
