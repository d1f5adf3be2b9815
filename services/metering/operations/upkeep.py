"""The closer's work: storage is sampled, hours are closed, and summaries are repeated, each when it is due.

One sweep takes these in turns, so that a backlog of one kind delays the others by no more than its share. With eight
entries at the same time, and 5 ms for a request to DynamoDB, a minute is enough for some 5,000 hours: 100,000 tenants
are sampled and closed within half an hour (bench/upkeep.py).
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from enum import StrEnum
from itertools import zip_longest

from services.metering.operations import closing, storing, summarising
from shared.storage.due import DueEntry, DueQueue
from shared.storage.store import Store
from shared.sweep import Swept, sweep


class Kind(StrEnum):
    """A kind of due work, by its name in the `due` index."""

    STORAGE = "STORAGE"
    HOUR = "OPEN"
    SUMMARY = "SUMMARY"


def sweep_due(
    store: Store, *, now: datetime, kinds: Collection[Kind] = tuple(Kind), concurrency: int = 1
) -> tuple[Counter[Kind], Swept]:
    """Handle what is due of all tenants until the invocation's time is over.

    Args:
        store: the slice of every tenant.
        now: the time.
        kinds: what is handled.
        concurrency: how many entries are handled at the same time.

    Returns:
        How many entries of each kind were finished, and the result of the sweep. An entry that could only be begun
        goes on in the next sweep.
    """

    def handle(entry: DueEntry) -> Kind | None:
        kind = Kind(entry.kind)
        return kind if _handle(store, kind, entry, now=now) else None

    queues = {kind: DueQueue(store, kind) for kind in kinds}
    entries = _in_turns(*(queue.entries(now=now) for queue in queues.values()))
    # A failed entry is recorded by its own place, so any queue of the slice records all of them.
    swept = sweep(next(iter(queues.values())), handle, now=now, concurrency=concurrency, entries=entries)
    return Counter(swept.results), swept


def _handle(store: Store, kind: Kind, entry: DueEntry, *, now: datetime) -> bool:
    match kind:
        case Kind.STORAGE:
            return storing.sample(store, entry.tenant_id, now=now)
        case Kind.HOUR:
            return closing.close_entry(store, entry, now=now)
        case Kind.SUMMARY:
            summarising.look_again(store, entry.tenant_id, summarising.month_of_entry(entry), now=now)
            return True


def _in_turns(*queues: Iterable[DueEntry]) -> Iterator[DueEntry]:
    for turn in zip_longest(*queues):
        yield from (entry for entry in turn if entry is not None)
