"""The sum of the comparisons of several tenants."""

from dataclasses import asdict, dataclass, field
from typing import Any

from cli.errors import CommandRefused
from cli.reconciliation.comparison import Reconciliation
from cli.reconciliation.report import rows_of


@dataclass(slots=True)
class ReconciliationSummary:
    """The differences and repairs of several tenants, as rows for JSON."""

    drift: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    pending: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    repaired: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    tenants: int = 0
    entries: int = 0
    failed: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    """Tenants that could not be compared, each with the reason."""

    def add(self, reconciliation: Reconciliation, *, repair: bool) -> None:
        """Compare a tenant; with `repair`, correct its differences and compare it again.

        A tenant that cannot be compared is recorded, and keeps no other from being compared.
        """
        try:
            self._add(reconciliation, repair=repair)
        except CommandRefused as error:
            self.failed.append({"tenant_id": reconciliation.tenant_id, "reason": str(error)})

    def _add(self, reconciliation: Reconciliation, *, repair: bool) -> None:
        tenant_id = reconciliation.tenant_id
        report = reconciliation.compare()
        if repair and report.drift:
            self.repaired += [{"tenant_id": tenant_id, "what": line} for line in reconciliation.repair(report)]
            report = reconciliation.settle()
        self.drift += rows_of(tenant_id, report.drift)
        self.pending += rows_of(tenant_id, report.pending)
        self.tenants += 1
        self.entries += report.entries

    def to_json(self) -> dict[str, Any]:
        """Return all fields."""
        return asdict(self)
