"""The result of a comparison."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from cli.reconciliation.contracts import MonthSpent
from shared.drift import Drift


@dataclass(frozen=True, slots=True)
class BillingGap:
    """The difference between a closed hour and the hour that billing has received."""

    revisions: list[int]
    """The numbers of the revisions that billing has not received."""
    amounts: dict[str, int]
    """The missing amounts by meter, and the missing number of `events`."""

    @property
    def meters(self) -> dict[str, int]:
        """The missing amounts by meter."""
        return {name: amount for name, amount in self.amounts.items() if name != "events"}

    @property
    def events(self) -> int:
        """The missing number of events."""
        return self.amounts.get("events", 0)


@dataclass(slots=True)
class ReconciliationReport:
    """The result of one comparison."""

    drift: list[Drift] = field(default_factory=list[Drift])
    pending: list[Drift] = field(default_factory=list[Drift])
    entries: int = 0
    """The number of ledger entries that were counted."""
    billing_gaps: dict[str, BillingGap] = field(default_factory=dict[str, BillingGap])
    """The closed hours that differ in billing."""
    correct_budgets: dict[str, MonthSpent] = field(default_factory=dict[str, MonthSpent])
    """The correct amounts of the budgets that differ, by period."""
    missing_events: list[str] = field(default_factory=list[str])
    """The ids of usage events that are not in the ledger."""

    def add(self, found: Iterable[Drift], *, pending: bool = False) -> None:
        """Add differences."""
        (self.pending if pending else self.drift).extend(found)

    @property
    def places(self) -> set[str]:
        """The records that have differences."""
        return {one.place for one in self.drift}

    def keep_confirmed(self, earlier: "ReconciliationReport") -> None:
        """Leave only the differences that an earlier comparison has also found; the others are pending."""
        known = {_identity(one) for one in earlier.drift}
        self.add([one for one in self.drift if _identity(one) not in known], pending=True)
        self.drift = [one for one in self.drift if _identity(one) in known]


def _identity(drift: Drift) -> tuple[object, ...]:
    return drift.place, drift.at, drift.meter, drift.subject, drift.excess


def rows_of(tenant_id: str, found: Sequence[Drift]) -> list[dict[str, Any]]:
    """Return the differences as rows for JSON."""
    return [{"tenant_id": tenant_id, **asdict(one)} for one in found]
