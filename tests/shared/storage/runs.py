"""A slice with due runs, for the tests of queues and of the quarantine."""

from collections.abc import Iterator
from datetime import UTC, datetime

from shared.declaration import Slice, Table
from shared.storage.due import DueEntry, DueQueue
from shared.storage.items import Key
from shared.storage.store import Store
from shared.storage.transaction import Transaction
from shared.times import to_text

SLICE = Slice("RUNS", Table.ENTITIES)
NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)


def add(store: Store, tenant_id: str, name: str, *, due_at: datetime = NOW) -> None:
    """Write a run that is due."""
    transaction = Transaction(tenant_id)
    due = {"due_pk": SLICE.due_key("RUN"), "due_sk": f"{to_text(due_at)}#{name}"}
    transaction.put({**Key(SLICE.key(tenant_id, "RUN", name), "RUN").attributes, **due})
    store.commit(transaction)


def names(entries: Iterator[DueEntry]) -> list[str]:
    """Return the names of the runs of these entries."""
    return [entry.key.pk.rpartition("#")[2] for entry in entries]


def first_entry(queue: DueQueue, *, now: datetime = NOW) -> DueEntry:
    """Return the first due entry."""
    return next(queue.entries(now=now))
