"""Entries of queues that fail: moved back with a growing delay, and in the end quarantined.

A quarantined entry is taken out of the index, with a record that an operator can list, inspect and release. The record
is an item of its own, because the one that fails may be too large to be written to.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from shared.errors import NotFound
from shared.storage.codec import Codec, Conversion
from shared.storage.due import DueEntry, DueIndex, DueQueue, place_at, unmoved
from shared.storage.items import Item, Key, Value, key_of
from shared.storage.store import Store
from shared.storage.table import TenantTable, setting
from shared.storage.transaction import PRESENT, Expression, refuse_with
from shared.times import epoch

FIRST_DELAY = timedelta(minutes=1)
MAX_DELAY = timedelta(minutes=15)
MAX_FAILURES = 5
"""Failures in a row after which an entry is quarantined."""
CONSECUTIVE_WITHIN = timedelta(hours=2)
"""Failures further apart than this count as separate: a sweep comes at least every hour."""
FAILURE_RETENTION = timedelta(days=7)

QUARANTINE = "QUARANTINE"
"""The partition of a tenant's records, and the kind under which the index lists those that are quarantined."""


@dataclass(frozen=True, slots=True)
class EntryFailure:
    """The record of an entry that could not be handled."""

    failure_id: str
    tenant_id: str
    entry: DueEntry
    failures: int
    failed_at: datetime
    quarantined_at: datetime | None
    error: Mapping[str, Any]
    """The error's type, a reason that holds nothing a tenant has written, and its stack."""


class _FailureTable(TenantTable[EntryFailure]):
    """The records of a tenant's entries that failed."""

    prefix, id_field = "", "failure_id"
    # The facts of an error are texts, numbers and lists of them. The entry has a key, which no codec takes apart.
    codec = Codec(EntryFailure, given=("failure_id", "entry"), conversions={Any: Conversion(None, None)})

    def __init__(self, store: Store, tenant_id: str) -> None:
        super().__init__(store, tenant_id, QUARANTINE)

    def item(self, record: EntryFailure) -> dict[str, Value]:
        """Return the item of a record, with the key and the place of its entry."""
        entry = record.entry
        return {
            **super().item(record),
            "entry_pk": entry.key.pk,
            "entry_sk": entry.key.sk,
            "entry_due_pk": entry.due_pk,
            "entry_due_sk": entry.due_sk,
        }

    def indexed(self, record: EntryFailure) -> Mapping[str, Value]:
        """Return the place in the list of quarantined entries; the records of others expire."""
        if record.quarantined_at:
            return DueIndex(self.store.owned, QUARANTINE).place(record.quarantined_at, record.failure_id)
        return {"ttl": epoch(record.failed_at + FAILURE_RETENTION)}

    def earlier_failures(self, entry: DueEntry, *, now: datetime) -> int:
        """Return how often the entry has failed in a row; nothing is recorded of those that succeed in between."""
        earlier = self.find(_failure_id(entry))
        return earlier.failures if earlier and earlier.failed_at > now - CONSECUTIVE_WITHIN else 0

    def keep(self, failure: EntryFailure) -> bool:
        """Store the record of an entry that stays in its queue.

        Returns:
            False when the entry was moved or removed, with its tenant; it leaves no record.
        """
        transaction = self.transaction(is_step=True)
        transaction.put(self.item(failure))
        transaction.check(failure.entry.key, when=unmoved(failure.entry))
        return not self.store.try_commit(transaction)

    def quarantine(self, failure: EntryFailure) -> None:
        """Take the entry out of the index, and store its record in the same write; an entry that has moved stays."""
        transaction = self.transaction(is_step=True)
        transaction.put(self.item(failure))
        transaction.update(failure.entry.key, Expression("REMOVE #due_pk, #due_sk"), when=unmoved(failure.entry))
        self.store.try_commit(transaction)

    def release(self, failure: EntryFailure, *, now: datetime) -> None:
        """Make a quarantined entry due again and delete its record.

        Raises:
            NotQuarantined: it was released meanwhile.
        """
        entry = failure.entry
        self.store.try_update(
            entry.key,
            setting({"due_pk": entry.due_pk, "due_sk": place_at(entry, now)}),
            when=Expression("attribute_exists(PK) AND attribute_not_exists(#due_pk)"),
        )
        transaction = self.transaction(is_step=True)
        transaction.delete(self.key(failure.failure_id), when=PRESENT, otherwise=refuse_with(NotQuarantined()))
        self.store.commit(transaction)

    def _given(self, item: Item) -> dict[str, object]:
        entry_pk, entry_sk, due_pk, due_sk = (str(item[f"entry_{name}"]) for name in ("pk", "sk", "due_pk", "due_sk"))
        return {**super()._given(item), "entry": DueEntry(Key(entry_pk, entry_sk), due_pk, due_sk)}


def record_failure(
    queue: DueQueue[Any], entry: DueEntry, error: Mapping[str, Any], *, now: datetime, is_outage: bool
) -> EntryFailure:
    """Count a failure and move the entry back, or quarantine it when it has failed too often.

    Args:
        queue: the queue of the entry, or another one of its slice.
        entry: as it was read.
        error: see `EntryFailure.error`.
        now: the time.
        is_outage: a dependency did not answer; such failures delay an entry and never quarantine it.
    """
    table = _FailureTable(queue.store, entry.tenant_id)
    failures = table.earlier_failures(entry, now=now) + (0 if is_outage else 1)
    is_poison = not is_outage and failures >= MAX_FAILURES
    failure = EntryFailure(
        failure_id=_failure_id(entry),
        tenant_id=entry.tenant_id,
        entry=entry,
        failures=failures,
        failed_at=now,
        quarantined_at=now if is_poison else None,
        error=error,
    )
    if is_poison:
        table.quarantine(failure)
    elif table.keep(failure):
        queue.postpone(entry, at=now + delay_after(failures))
    return failure


class NotQuarantined(NotFound):
    """No entry with this id is quarantined."""

    def __init__(self) -> None:
        super().__init__("No quarantined entry has this id. List them with `ainexus quarantine list`.")


def list_quarantined(store: Store) -> list[EntryFailure]:
    """Return the quarantined entries of one slice, the oldest first."""
    listed = Expression("#due_pk = :pk", {"pk": store.owned.due_key(QUARANTINE)})
    found = store.get_many([key_of(item) for item in store.query_all(listed, index="due")])
    failures = [_FailureTable(store, str(item["tenant_id"])).decode(item) for item in found.values()]
    return sorted(failures, key=lambda failure: failure.failed_at)


def release(store: Store, failure_id: str, *, now: datetime) -> EntryFailure:
    """Make a quarantined entry due again and delete its record.

    An item that does not exist any more, or has become due by itself, is left alone.

    Raises:
        NotQuarantined: no entry has this id.
    """
    failure = next((one for one in list_quarantined(store) if one.failure_id == failure_id), None)
    if failure is None:
        raise NotQuarantined
    _FailureTable(store, failure.tenant_id).release(failure, now=now)
    return failure


def quarantined_partitions(store: Store, tenant_id: str) -> set[str]:
    """Return the partitions of a tenant's entries that failed. Nothing else names those of quarantined entries."""
    return {failure.entry.key.pk for failure in _FailureTable(store, tenant_id).all()}


def delay_after(failures: int) -> timedelta:
    """Return the delay before the next try: doubled with each failure, up to 15 minutes."""
    doublings = min(max(0, failures - 1), MAX_FAILURES)
    return min(FIRST_DELAY * 2**doublings, MAX_DELAY)


def _failure_id(entry: DueEntry) -> str:
    """Name an entry: stable, so that the failures of the same item add up."""
    parts = (entry.due_pk, *entry.key)
    named = "".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.sha256(named.encode()).hexdigest()[:20]
