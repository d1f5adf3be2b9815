"""Exports: who writes which, and what became of it.

They are of operators, not of a tenant, and so under a name that no tenant can have.
"""

from datetime import date, datetime, timedelta

from services.metering.domain.export import GIVEN_UP_AFTER, GOOD_FOR, Asked, Export, ExportFormat, ExportStatus
from services.metering.domain.periods import Days
from services.metering.table import SLICE
from shared.storage.items import Item, Key, Reader
from shared.storage.store import Store
from shared.storage.transaction import Expression
from shared.times import epoch, from_text, to_text

OPERATORS = "_operators"
_KEPT = timedelta(days=1)


def start(store: Store, asked: Asked, *, now: datetime) -> Export | None:
    """The export, which the caller has to see to; None when there is one already that is good, or may become so."""
    change = Expression(
        "ADD #attempt :one SET #status = :status, #exported_at = :now, #good_until = :good_until, #ttl = :ttl,"
        " #start = :start, #end = :end, #tenant = :tenant, #format = :format",
        {
            "one": 1,
            "status": ExportStatus.RUNNING,
            "now": to_text(now),
            "good_until": to_text(now + GIVEN_UP_AFTER),
            "ttl": epoch(now + _KEPT),
            "start": str(asked.days.start),
            "end": str(asked.days.end),
            "tenant": asked.tenant_id,
            "format": asked.format,
        },
    )
    stale = Expression("attribute_not_exists(PK) OR #good_until <= :now", {"now": to_text(now)})
    item = store.update(_key(asked), change, when=stale)
    return _from_item(item) if item else None


def read(store: Store, asked: Asked) -> Export | None:
    """The export as it is now."""
    item = store.get(_key(asked))
    return _from_item(item) if item else None


def finish(store: Store, export: Export, *, status: ExportStatus, events: int = 0, size: int = 0) -> None:
    """Note what became of an export, unless another attempt has begun meanwhile."""
    good_until = export.exported_at + (timedelta() if status is ExportStatus.FAILED else GOOD_FOR)
    change = Expression(
        "SET #status = :status, #events = :events, #bytes = :bytes, #good_until = :good_until",
        {"status": status, "events": events, "bytes": size, "good_until": to_text(good_until)},
    )
    same = Expression(
        "#attempt = :attempt AND #status = :running", {"attempt": export.attempt, "running": ExportStatus.RUNNING}
    )
    store.update(_key(export.asked), change, when=same)


def _key(asked: Asked) -> Key:
    return Key(SLICE.key(OPERATORS), f"EXPORT#{asked.export_id}")


def _from_item(item: Item) -> Export:
    reader = Reader(item)
    days = Days(date.fromisoformat(reader.text("start")), date.fromisoformat(reader.text("end")))
    return Export(
        Asked(days, reader.optional_text("tenant"), ExportFormat(reader.text("format"))),
        attempt=reader.integer("attempt"),
        status=ExportStatus(reader.text("status")),
        exported_at=from_text(reader.text("exported_at")),
        events=reader.optional_integer("events") or 0,
        bytes=reader.optional_integer("bytes") or 0,
    )
