"""The ledger: reading and writing entries, and the quarantine."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from services.metering.counters.domain.amounts import OTHER, Dimensions
from services.metering.counters.domain.hours import Revision
from services.metering.counters.table.attributes import DIMENSIONS, METERS
from services.metering.ledger.domain.counting import CountingOutcome
from services.metering.ledger.domain.entries import LedgerEntry, Origin
from services.metering.partitions import RETENTION
from shared.storage.codec import Codec
from shared.storage.items import Item, Key, Value, key_of
from shared.storage.table import TenantTable
from shared.storage.transaction import Expression
from shared.times import epoch, to_text

_READ_AT_ONCE = 100
_ORIGIN = Codec(
    Origin,
    names={
        "reported_id": "reportedId",
        "run_id": "runId",
        "request_id": "requestId",
        "agent_version": "agentVersion",
        "usage_estimated": "usageEstimated",
    },
)


@dataclass(frozen=True, slots=True)
class CountedEntry:
    """An entry, and the counter that contains it."""

    entry: LedgerEntry
    revision: Revision
    """The revision of its hour; above 0 if the entry was late."""
    row: Dimensions
    """The row by dimension in that revision."""


class LedgerTable(TenantTable[LedgerEntry]):
    """The ledger of one tenant. Each entry has a partition, and the `list` index has them by time."""

    prefix, id_field = "EVENT", "event_id"
    # Operators know these attribute names, which are those of the archive as well.
    codec = Codec(
        LedgerEntry,
        names={"event_id": "eventId", "occurred_at": "timestamp"},
        flat={"origin": _ORIGIN, "dimensions": DIMENSIONS, "meters": METERS},
    )

    def key(self, record_id: str = "") -> Key:
        """Return the key of an entry. It depends on the id only, so that an id exists once."""
        return Key(self.partition("EVENT", record_id), "EVENT")

    def sort_key(self, entry: LedgerEntry) -> str:
        """Return the sort key of an entry in the index, by time."""
        return f"{to_text(entry.occurred_at)}#{entry.event_id}"

    def record(self, entry: LedgerEntry) -> dict[str, Value]:
        """Return the content of an entry in the table and in the archive."""
        return {"tenantId": self.tenant_id, **self.codec.encode(entry)}

    def counted_item(self, counted: CountedEntry) -> dict[str, Value]:
        """Return the item of an entry, with the counter that contains it."""
        entry, item = counted.entry, self.record(counted.entry)
        if counted.row != entry.dimensions:
            item["in_other"] = True
        return {
            **item,
            **self.key(entry.event_id).attributes,
            "revision": counted.revision.number,
            "list_pk": self.partition("LEDGER"),
            "list_sk": self.sort_key(entry),
            "ttl": epoch(entry.occurred_at + RETENTION),
        }

    def quarantine(self, entry: LedgerEntry, *, reason: CountingOutcome) -> None:
        """Quarantine an entry that is not counted, so that operators can inspect it."""
        transaction = self.transaction()
        transaction.put(
            {
                **Key(self.partition("ASIDE", entry.event_id), entry.content_hash).attributes,
                "list_pk": self.partition("ASIDE"),
                "list_sk": self.sort_key(entry),
                "because": reason,
                # Nested in a map, so that a scan for a tenant's usage finds only ledger entries.
                "entry": self.record(entry),
                "ttl": epoch(entry.occurred_at + RETENTION + RETENTION),
            }
        )
        self.store.commit(transaction)

    def page_between(
        self, *, start: datetime, end: datetime, limit: int, after: str | None
    ) -> tuple[list[LedgerEntry], str | None]:
        """Return a page of the ledger between two times (half-open), newest first, and the cursor of the next page."""
        items, cursor = self._page_of_items(start=start, end=end, limit=limit, after=after)
        return [self.decode(item) for item in items], cursor

    def between(self, *, start: datetime, end: datetime, after: str | None = None) -> Iterator[LedgerEntry]:
        """Yield the ledger between two times (half-open), newest first, page by page.

        If `after` is given, start after this sort key.
        """
        return map(self.decode, self._items_between(start=start, end=end, after=after))

    def counted_between(self, *, start: datetime, end: datetime) -> Iterator[CountedEntry]:
        """Yield the same entries as `between`, each with the counter that contains it."""
        for item in self._items_between(start=start, end=end):
            entry = self.decode(item)
            row = OTHER if item.get("in_other") else entry.dimensions
            yield CountedEntry(entry, Revision(entry.hour, int(str(item["revision"]))), row)

    def _items_between(self, *, start: datetime, end: datetime, after: str | None = None) -> Iterator[Item]:
        cursor = after
        while True:
            items, cursor = self._page_of_items(start=start, end=end, limit=_READ_AT_ONCE, after=cursor)
            yield from items
            if cursor is None:
                return

    def _page_of_items(
        self, *, start: datetime, end: datetime, limit: int, after: str | None
    ) -> tuple[list[Item], str | None]:
        # A sort key is longer than the time with which it starts, so the range excludes `end`.
        condition = Expression(
            "#list_pk = :ledger AND #list_sk BETWEEN :start AND :end",
            {"ledger": self.partition("LEDGER"), "start": to_text(start), "end": to_text(end)},
        )
        if after is not None and not to_text(start) <= after <= to_text(end):
            # DynamoDB refuses a start key outside of the range. No entries follow a cursor that a moving range has
            # passed.
            return [], None
        resume_after = self._index_key(after) if after else None
        # One entry more than requested shows whether there is another page.
        found = self.store.query(
            condition, index="list", newest_first=True, limit=limit + 1, resume_after=resume_after
        ).items
        page = found[:limit]
        keys = [key_of(item) for item in page]
        items = self.store.get_many(keys)
        return [items[key] for key in keys if key in items], str(page[-1]["list_sk"]) if len(found) > limit else None

    def _index_key(self, cursor: str) -> Item:
        key = self.key(cursor.partition("#")[2])
        return {**key.attributes, "list_pk": self.partition("LEDGER"), "list_sk": cursor}
