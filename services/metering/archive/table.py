"""The progress of archiving each day, which is stored in the day's total."""

from dataclasses import dataclass
from datetime import date

from services.metering.counters.domain.days import Days
from services.metering.counters.table.attributes import AMOUNTS
from services.metering.counters.table.rollups import RollUpTable
from shared.storage.codec import Codec
from shared.storage.store import Store
from shared.storage.table import TenantTable, setting
from shared.storage.transaction import PRESENT


@dataclass(frozen=True, slots=True)
class ArchiveProgress:
    """The progress of archiving a day."""

    parts: int = 0
    events: int = 0
    last: str | None = None
    """The place of the last archived entry."""
    archived_events: int | None = None
    """The number of events in the archive, once it is complete."""


class ArchiveTable(TenantTable[ArchiveProgress]):
    """The progress of archiving the days of one tenant."""

    prefix = "TOTAL#"
    codec = Codec(ArchiveProgress, names={"parts": "archive_parts", "events": "archive_events", "last": "archive_last"})

    def __init__(self, store: Store, tenant_id: str) -> None:
        super().__init__(store, tenant_id, "DAYS")

    def day_in(self, sort_key: str) -> date:
        """Return the day of the sort key of its total."""
        return date.fromisoformat(self.id_in(sort_key))

    def progress_of(self, day: date) -> ArchiveProgress:
        """Return the progress of archiving a day."""
        return self.find(str(day)) or ArchiveProgress()

    def save(self, day: date, progress: ArchiveProgress) -> None:
        """Record that another part of the day is in the bucket."""
        change = self.setting(parts=progress.parts, events=progress.events, last=progress.last)
        self.update(str(day), change, when=PRESENT)

    def finish(self, day: date, *, events: int) -> bool:
        """Record that the day's ledger is in the bucket, and return whether its number of events is the counters'."""
        change = setting({**self.codec.values(archived_events=events), "due_pk": None, "due_sk": None})
        item = self.store.update(self.key(str(day)), change, when=PRESENT)
        return item is not None and AMOUNTS.decode(item).events == events

    def archived_counts(self, days: Days) -> dict[date, int]:
        """Return the archived days in this range, each with its number of archived events."""
        totals = RollUpTable(self.store, self.tenant_id).rows_between(
            "DAYS", str(days.start), str(days.end), by_dimensions=False
        )
        progress = ((date.fromisoformat(day), self.decode(item)) for day, item in totals)
        return {day: state.archived_events for day, state in progress if state.archived_events is not None}
