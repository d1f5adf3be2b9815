"""The sync ledger: a permanent record of every meter event for Stripe, with its outcome."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from services.billing.catalog.domain import BilledMeter
from services.billing.customers.domain.period import BillingPeriod, hour_from_text, hour_text
from services.billing.errors import EntryChanged
from services.billing.partitions import SLICE, SYNC
from services.billing.usage_sync.domain import HOUR, EntryState, SyncEntry
from services.billing.usage_sync.table.months import MonthlyTable
from shared.storage.codec import Codec
from shared.storage.due import DueEntry, DueIndex
from shared.storage.items import Item, Value
from shared.storage.transaction import ABSENT, Refusal, Transaction, refuse_with
from shared.times import from_text

UNSENT = DueIndex(SLICE, "SYNC")
"""The place in the `due` index of entries to send, by the time of the next attempt."""
REJECTED = DueIndex(SLICE, "REJECTED")
"""The place of permanently rejected entries."""


class SyncLedger(MonthlyTable[SyncEntry]):
    """The meter events of one tenant, by the hours of their timestamps."""

    name = SYNC
    codec = Codec(SyncEntry, names={"timestamp": "stamped_at"}, given=("due_at",), always=("state", "attempts"))

    def id_of(self, record: SyncEntry) -> str:
        """Return the hour of the timestamp and the identifier."""
        return f"{hour_text(record.timestamp_hour)}#{record.identifier}"

    def decode(self, item: Item) -> SyncEntry:
        """Return the entry in an item."""
        is_due = item.get("due_pk") == UNSENT.keys[0]
        return self.codec.decode(item, due_at=from_text(str(item["due_sk"])) if is_due else None)

    def between(self, period: BillingPeriod) -> Iterator[SyncEntry]:
        """Yield the entries with timestamps in the hours of this period, in that order."""
        return self.from_hour(period.start, period)

    def of_hour(self, hour: datetime) -> list[SyncEntry]:
        """Return the entries with timestamps in this hour."""
        return list(self.between(BillingPeriod(hour, hour + HOUR)))

    def put_new(
        self, transaction: Transaction, entry: SyncEntry, *, due_at: datetime | None, otherwise: Refusal
    ) -> None:
        """Write a new entry in a transaction."""
        transaction.put(self._due_item(entry, due_at=due_at), when=ABSENT, otherwise=otherwise)

    def create(self, entries: Iterable[SyncEntry], *, due_at: datetime) -> None:
        """Write entries that do not come from stored usage.

        Args:
            entries: the new entries.
            due_at: the time at which the sweep sends those that are still open.

        Raises:
            EntryChanged: another writer added some of them.
        """
        transaction, refused = self.transaction(), refuse_with(EntryChanged())
        for entry in entries:
            self.put_new(transaction, entry, due_at=due_at if entry.is_open else None, otherwise=refused)
        self.store.commit(transaction)

    def save(self, before: SyncEntry, after: SyncEntry, *, due_at: datetime | None) -> None:
        """Write the new state of an entry. If its hour of the timestamp changes, the entry moves to another key.

        Args:
            before: the entry as it was read.
            after: the entry to write.
            due_at: the time at which the sweep handles it again; None if it is final.

        Raises:
            EntryChanged: the entry changed after it was read.
        """
        refused = refuse_with(EntryChanged())
        unchanged = self.equal(state=before.state, attempts=before.attempts)
        transaction = self.transaction()
        if self.id_of(before) == self.id_of(after):
            transaction.put(self._due_item(after, due_at=due_at), when=unchanged, otherwise=refused)
        else:
            transaction.delete(self.key(self.id_of(before)), when=unchanged, otherwise=refused)
            self.put_new(transaction, after, due_at=due_at, otherwise=refused)
        self.store.commit(transaction)

    def _due_item(self, entry: SyncEntry, *, due_at: datetime | None) -> dict[str, Value]:
        """Return the item of an entry, with its place in a queue."""
        item = self.item(entry)
        if entry.state is EntryState.REJECTED:
            return item | REJECTED.place(entry.first_sent_at or entry.timestamp)
        return item | UNSENT.place(due_at) if due_at else item

    @staticmethod
    def meter_and_hour_of(entry: DueEntry) -> tuple[BilledMeter, datetime]:
        """Return the meter and the hour of usage from the key of an entry in the queue."""
        _, meter, hour, _ = entry.key.sk.rsplit(":", 3)
        return BilledMeter(meter), hour_from_text(hour)
