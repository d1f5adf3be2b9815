"""The revisions of hours that are not rolled up yet."""

from dataclasses import dataclass
from datetime import datetime

from services.metering.counters.domain.hours import Revision, hour_from_text, hour_to_text
from services.metering.counters.table.rows import HourTable
from services.metering.partitions import SLICE
from shared.storage.codec import Codec
from shared.storage.due import DueIndex
from shared.storage.items import Item
from shared.storage.store import Store
from shared.storage.table import TenantTable
from shared.storage.transaction import ABSENT, Transaction

DUE = DueIndex(SLICE, "OPEN")
"""By the time at which a revision is closed."""


@dataclass(frozen=True, slots=True)
class OpenRevision:
    """A revision that is not rolled up yet."""

    revision: Revision
    rolled_up: str
    """The position of its last row that is rolled up; empty before the first."""


class OpenRevisionTable(TenantTable[OpenRevision]):
    """The revisions of one tenant that are not rolled up yet."""

    prefix, id_field = "", "revision"
    codec = Codec(OpenRevision, given=("revision",))

    def __init__(self, store: Store, tenant_id: str) -> None:
        super().__init__(store, tenant_id, "OPEN")

    def id_of(self, record: OpenRevision) -> str:
        """Return the hour and the number, so that revisions sort by time."""
        return _id_of(record.revision)

    def revision_in(self, sort_key: str) -> Revision:
        """Return the revision that a sort key names."""
        hour, number = sort_key.split("#")
        return Revision(hour_from_text(hour), int(number))

    def find_revision(self, revision: Revision) -> OpenRevision | None:
        """Return the state of this revision, or None if it is rolled up."""
        return self.find(_id_of(revision))

    def open(self, revision: Revision, *, now: datetime) -> None:
        """Open a revision for usage on all its shards, and schedule its closing. Opening it again has no effect."""
        hours, transaction = HourTable(self.store, self.tenant_id), self.transaction()
        for total in hours.totals(revision):
            transaction.put({**total.attributes, **hours.expiry(revision)}, when=ABSENT)
        # Never in the past, so that usage of many old hours does not precede work that has been due for longer.
        due = DUE.place(max(revision.closes_at(opened_at=now), now), self.tenant_id, _id_of(revision))
        transaction.put({**self.item(OpenRevision(revision, "")), **due}, when=ABSENT)
        self.store.try_commit(transaction)

    def remove(self, transaction: Transaction, opened: OpenRevision) -> None:
        """Delete a record in this transaction, unless another process rolled up some of the revision."""
        still = self.equal(rolled_up=opened.rolled_up)
        transaction.delete(self.key(_id_of(opened.revision)), when=still, otherwise=lambda _: RolledUpElsewhere())

    def record_progress(self, transaction: Transaction, opened: OpenRevision, *, rolled_up: str) -> None:
        """Record the progress of a roll-up in this transaction, unless another process rolled up some of it."""
        key, still = self.key(_id_of(opened.revision)), self.equal(rolled_up=opened.rolled_up)
        transaction.update(key, self.setting(rolled_up=rolled_up), when=still, otherwise=lambda _: RolledUpElsewhere())

    def _given(self, item: Item) -> dict[str, object]:
        return {"revision": self.revision_in(str(item["SK"]))}


class RolledUpElsewhere(Exception):
    """Another process is rolling up this revision."""


def _id_of(revision: Revision) -> str:
    return f"{hour_to_text(revision.hour)}#{revision.number:04}"
