"""The closer: samples storage, closes hours and repeats summaries when they are due.

One sweep handles the three kinds in turns, so that a backlog of one kind does not take more than its share of the time.
Several entries are handled at the same time, so that 100,000 tenants are sampled and closed within an hour
(bench/upkeep.py).
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from enum import StrEnum
from itertools import zip_longest

from services.metering.counters.table.revisions import DUE as HOURS_DUE
from services.metering.hours.operations import closing
from services.metering.storage import operations as storage
from services.metering.storage.table import DUE as STORAGE_DUE
from services.metering.summaries import operations as summaries
from services.metering.summaries.table import DUE as SUMMARIES_DUE
from services.metering.summaries.table import SummaryTable
from shared.storage.due import DueEntry, DueQueue
from shared.storage.store import Store
from shared.sweep import Swept, sweep


class DueKind(StrEnum):
    """A kind of due work, by its name in the `due` index."""

    STORAGE = "STORAGE"
    HOUR = "OPEN"
    SUMMARY = "SUMMARY"


_INDEXES = {DueKind.STORAGE: STORAGE_DUE, DueKind.HOUR: HOURS_DUE, DueKind.SUMMARY: SUMMARIES_DUE}


def sweep_due(
    store: Store, *, now: datetime, kinds: Collection[DueKind] = tuple(DueKind), concurrency: int = 1
) -> tuple[Counter[DueKind], Swept]:
    """Handle the due entries of all tenants until the invocation's time ends.

    Args:
        store: the slice of every tenant.
        now: the current time.
        kinds: the kinds of due work to handle.
        concurrency: the number of entries that are handled at the same time.

    Returns:
        The number of finished entries of each kind, and the result of the sweep. The next sweep continues an entry that
        could not be finished.
    """

    def handle(entry: DueEntry) -> DueKind | None:
        kind = DueKind(entry.kind)
        return kind if _handle(store, kind, entry, now=now) else None

    queues = {kind: DueQueue(store, _INDEXES[kind]) for kind in kinds}
    entries = _in_turns(*(queue.entries(now=now) for queue in queues.values()))
    # A failure is recorded with the entry's own key, so any queue of the slice can record it.
    swept = sweep(next(iter(queues.values())), handle, now=now, concurrency=concurrency, entries=entries)
    return Counter(swept.results), swept


def _handle(store: Store, kind: DueKind, entry: DueEntry, *, now: datetime) -> bool:
    match kind:
        case DueKind.STORAGE:
            return storage.sample_storage(store, entry.tenant_id, now=now)
        case DueKind.HOUR:
            return closing.close_due_entry(store, entry, now=now)
        case DueKind.SUMMARY:
            month = SummaryTable(store, entry.tenant_id).id_in(entry.key.sk)
            summaries.publish_pending(store, entry.tenant_id, month, now=now)
            return True


def _in_turns(*queues: Iterable[DueEntry]) -> Iterator[DueEntry]:
    for turn in zip_longest(*queues):
        yield from (entry for entry in turn if entry is not None)
