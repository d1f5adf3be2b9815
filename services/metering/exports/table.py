"""Exports: their state, and the attempt that writes them.

They belong to operators and not to a tenant, so their key uses a name that no tenant can have.
"""

from datetime import datetime, timedelta

from services.metering.exports.domain import (
    ATTEMPT_TIMEOUT,
    FILE_VALIDITY,
    ExportRequest,
    ExportStatus,
    LedgerExport,
)
from shared.storage.codec import Codec
from shared.storage.items import Value
from shared.storage.store import Store
from shared.storage.table import TenantTable, adding, setting
from shared.storage.transaction import Expression
from shared.times import epoch, to_text

OPERATORS = "_operators"
_RETENTION = timedelta(days=1)


class UsageExportTable(TenantTable[LedgerExport]):
    """The exports of operators."""

    prefix = "EXPORT#"
    codec = Codec(
        LedgerExport, flat={"request": Codec(ExportRequest, names={"tenant_id": "tenant"}, flat={"days": ""})}
    )

    def __init__(self, store: Store) -> None:
        super().__init__(store, OPERATORS)

    def start(self, request: ExportRequest, *, now: datetime) -> LedgerExport | None:
        """Start an export, which the caller must queue; return None if a valid or running one exists."""
        started: dict[str, Value] = {
            **self.codec.values(request=request, status=ExportStatus.RUNNING, exported_at=now),
            "good_until": to_text(now + ATTEMPT_TIMEOUT),
            "ttl": epoch(now + _RETENTION),
        }
        stale = Expression("attribute_not_exists(PK) OR #good_until <= :now", {"now": to_text(now)})
        return self.update(request.export_id, adding({"attempt": 1}, started), when=stale)

    def find_request(self, request: ExportRequest) -> LedgerExport | None:
        """Return the current state of the export, or None if it does not exist."""
        return self.find(request.export_id)

    def finish(self, export: LedgerExport, *, status: ExportStatus, events: int = 0, size: int = 0) -> None:
        """Record the result of an export, unless another attempt has started meanwhile."""
        good_until = export.exported_at + (timedelta() if status is ExportStatus.FAILED else FILE_VALIDITY)
        finished = self.codec.values(status=status, events=events, bytes=size)
        is_running = self.equal(attempt=export.attempt, status=ExportStatus.RUNNING)
        self.update(export.request.export_id, setting({**finished, "good_until": to_text(good_until)}), when=is_running)
