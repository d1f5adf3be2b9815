"""Queues of due work: items that name themselves in the `due` index, by the time at which they become due.

The index holds keys alone. An item leaves its queue when its owner removes or moves `due_sk`; until then every sweep
finds it again. Work that fails is moved back with a growing delay, and in the end quarantined: taken out of the index,
with a record that an operator can list, inspect and release. The record is an item of its own, because the one that
fails may be too large to be written to.
"""

import hashlib
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from shared.declaration import Slice
from shared.errors import NotFound
from shared.storage.items import Item, Key, Reader, Value, key_of
from shared.storage.store import Store
from shared.storage.transaction import PRESENT, Expression, Transaction, refuse_with
from shared.times import epoch, from_text, to_text

WINDOW = 20_000
"""Entries that one sweep reads at most; keys of some 200 bytes each."""
FIRST_DELAY = timedelta(minutes=1)
MAX_DELAY = timedelta(minutes=15)
MAX_FAILURES = 5
"""Failures in a row after which an entry is quarantined."""
IN_A_ROW = timedelta(hours=2)
"""Failures further apart than this count as separate: a sweep comes at least every hour."""
FAILURES_KEPT = timedelta(days=7)

QUARANTINE = "QUARANTINE"
"""The partition of a tenant's records, and the kind under which the index lists those that are quarantined."""


@dataclass(frozen=True, slots=True)
class DueEntry:
    """An item's place in a queue."""

    key: Key
    due_pk: str
    due_sk: str
    """Begins with the time, RFC 3339 in UTC, where the queue is one by time."""

    @property
    def tenant_id(self) -> str:
        """The tenant whose item it is."""
        return self.key.pk.split("#")[1]

    @property
    def kind(self) -> str:
        """The queue's name, the last part of its index key."""
        return self.due_pk.rpartition("#")[2]


@dataclass(frozen=True, slots=True)
class Failure:
    """The record of an entry that could not be handled."""

    failure_id: str
    tenant_id: str
    entry: DueEntry
    failures: int
    failed_at: datetime
    quarantined_at: datetime | None
    error: Mapping[str, Any]
    """The error's type, a reason that holds nothing a tenant has written, and its stack."""


class DueQueue:
    """The queue of one kind of due work in one slice.

    Args:
        store: the slice of every tenant.
        kind: the last part of the key in the index, for example `RUN` for `DUE#RUNS#RUN`.
    """

    def __init__(self, store: Store, kind: str) -> None:
        self._store = store
        self._due_pk = store.owned.due_key(kind)

    def entries(self, *, now: datetime, window: int = WINDOW) -> Iterator[DueEntry]:
        """Return the entries that are due, the longest due first, in turns over their tenants.

        A tenant with many entries thus delays no other one. Every page is read up to the window.
        """
        return _in_turns(islice(self._read(until=f"{to_text(now)}~"), window))

    def _read(self, *, until: str) -> Iterator[DueEntry]:
        due = Expression("#due_pk = :pk AND #due_sk <= :until", {"pk": self._due_pk, "until": until})
        for item in self._store.query_all(due, index="due"):
            yield DueEntry(key_of(item), self._due_pk, str(item["due_sk"]))

    def put_back(self, entry: DueEntry, *, at: datetime) -> bool:
        """Move an entry to a later time; its place must begin with the time.

        Returns:
            False when the entry was moved or removed meanwhile.
        """
        later = Expression("SET #due_sk = :later", {"later": _place_at(entry, at)})
        return self._store.try_update(entry.key, later, when=_unmoved(entry)) is None

    def record_failure(self, entry: DueEntry, error: Mapping[str, Any], *, now: datetime, is_outage: bool) -> Failure:
        """Count a failure and move the entry back, or quarantine it when it has failed too often.

        Args:
            entry: as it was read.
            error: see `Failure.error`.
            now: the time.
            is_outage: a dependency did not answer; such failures delay an entry and never quarantine it.
        """
        failures = self._earlier_failures(entry, now=now) + (0 if is_outage else 1)
        is_poison = not is_outage and failures >= MAX_FAILURES
        failure = Failure(
            failure_id=_failure_id(entry),
            tenant_id=entry.tenant_id,
            entry=entry,
            failures=failures,
            failed_at=now,
            quarantined_at=now if is_poison else None,
            error=error,
        )
        if is_poison:
            self._quarantine(failure, now=now)
        else:
            self._save(failure, expires_at=now + FAILURES_KEPT)
            self.put_back(entry, at=now + delay_after(failures))
        return failure

    def _earlier_failures(self, entry: DueEntry, *, now: datetime) -> int:
        """Return how often the entry has failed in a row; nothing is recorded of those that succeed in between."""
        item = self._store.get(_record_key(self._store.owned, entry))
        if item is None:
            return 0
        record = Reader(item)
        return record.integer("failures") if from_text(record.text("failed_at")) > now - IN_A_ROW else 0

    def _save(self, failure: Failure, *, expires_at: datetime) -> None:
        transaction = Transaction(failure.tenant_id, is_step=True)
        transaction.put({**_record(self._store.owned, failure), "ttl": epoch(expires_at)})
        self._store.commit(transaction)

    def _quarantine(self, failure: Failure, *, now: datetime) -> None:
        """Take the entry out of the index, and store its record in the same write."""
        listed = {"due_pk": self._store.owned.due_key(QUARANTINE), "due_sk": f"{to_text(now)}#{failure.failure_id}"}
        transaction = Transaction(failure.tenant_id, is_step=True)
        transaction.put({**_record(self._store.owned, failure), **listed})
        transaction.update(
            failure.entry.key,
            Expression("REMOVE #due_pk, #due_sk"),
            when=_unmoved(failure.entry),
            otherwise=refuse_with(EntryMoved()),
        )
        try:
            self._store.commit(transaction)
        except EntryMoved:
            return


class EntryMoved(Exception):
    """The entry is no longer where it was read: it was handled or moved meanwhile."""


class NotQuarantined(NotFound):
    """No entry with this id is quarantined."""

    def __init__(self) -> None:
        super().__init__("No quarantined entry has this id. List them with `ainexus quarantine list`.")


def list_quarantined(store: Store) -> list[Failure]:
    """Return the quarantined entries of one slice, the oldest first."""
    listed = Expression("#due_pk = :pk", {"pk": store.owned.due_key(QUARANTINE)})
    found = store.get_many([key_of(item) for item in store.query_all(listed, index="due")])
    return sorted(map(_failure_from_item, found.values()), key=lambda failure: failure.failed_at)


def release(store: Store, failure_id: str, *, now: datetime) -> Failure:
    """Make a quarantined entry due again and delete its record.

    An item that does not exist any more, or has become due by itself, is left alone.

    Raises:
        NotQuarantined: no entry has this id.
    """
    failure = next((one for one in list_quarantined(store) if one.failure_id == failure_id), None)
    if failure is None:
        raise NotQuarantined
    entry = failure.entry
    due = {"due_pk": entry.due_pk, "due_sk": _place_at(entry, now)}
    store.try_update(
        entry.key,
        Expression("SET #due_pk = :due_pk, #due_sk = :due_sk", due),
        when=Expression("attribute_exists(PK) AND attribute_not_exists(#due_pk)"),
    )
    transaction = Transaction(failure.tenant_id, is_step=True)
    transaction.delete(_record_key(store.owned, entry), when=PRESENT, otherwise=refuse_with(NotQuarantined()))
    store.commit(transaction)
    return failure


def delay_after(failures: int) -> timedelta:
    """Return the delay before the next try: doubled with each failure, up to 15 minutes."""
    doublings = min(max(0, failures - 1), MAX_FAILURES)
    return min(FIRST_DELAY * 2**doublings, MAX_DELAY)


def _in_turns(entries: Iterable[DueEntry]) -> Iterator[DueEntry]:
    by_tenant: defaultdict[str, deque[DueEntry]] = defaultdict(deque)
    for entry in entries:
        by_tenant[entry.tenant_id].append(entry)
    while by_tenant:
        for tenant_id in list(by_tenant):
            waiting = by_tenant[tenant_id]
            yield waiting.popleft()
            if not waiting:
                del by_tenant[tenant_id]


def _place_at(entry: DueEntry, at: datetime) -> str:
    """Return the entry's place with another time, of the same length."""
    _, hash_sign, rest = entry.due_sk.partition("#")
    return f"{to_text(at)}{hash_sign}{rest}"


def _unmoved(entry: DueEntry) -> Expression:
    return Expression("#due_pk = :due_pk AND #due_sk = :due_sk", {"due_pk": entry.due_pk, "due_sk": entry.due_sk})


def _failure_id(entry: DueEntry) -> str:
    """Name an entry: stable, so that the failures of the same item add up."""
    parts = (entry.due_pk, *entry.key)
    named = "".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.sha256(named.encode()).hexdigest()[:20]


def _record_key(owned: Slice, entry: DueEntry) -> Key:
    return Key(owned.key(entry.tenant_id, QUARANTINE), _failure_id(entry))


def _record(owned: Slice, failure: Failure) -> dict[str, Value]:
    entry = failure.entry
    quarantined = {"quarantined_at": to_text(failure.quarantined_at)} if failure.quarantined_at else {}
    return {
        **_record_key(owned, entry).attributes,
        "tenant_id": failure.tenant_id,
        "entry_pk": entry.key.pk,
        "entry_sk": entry.key.sk,
        "entry_due_pk": entry.due_pk,
        "entry_due_sk": entry.due_sk,
        "failures": failure.failures,
        "failed_at": to_text(failure.failed_at),
        "error": dict(failure.error),
        **quarantined,
    }


def _failure_from_item(item: Item) -> Failure:
    reader = Reader(item)
    quarantined_at = reader.optional_text("quarantined_at")
    key = Key(reader.text("entry_pk"), reader.text("entry_sk"))
    error: Any = item["error"]
    return Failure(
        failure_id=reader.text("SK"),
        tenant_id=reader.text("tenant_id"),
        entry=DueEntry(key, reader.text("entry_due_pk"), reader.text("entry_due_sk")),
        failures=reader.integer("failures"),
        failed_at=from_text(reader.text("failed_at")),
        quarantined_at=from_text(quarantined_at) if quarantined_at else None,
        error=error,
    )
