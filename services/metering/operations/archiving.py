"""Archiving the ledger before it leaves the table."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import islice

from services.metering.domain.usage import Entry
from services.metering.table import ledger, rollups
from services.metering.table.rollups import Begun
from shared.errors import DependencyUnavailable
from shared.observability import logger
from shared.storage.objects import Archives
from shared.storage.store import Store

ARCHIVED_AT_ONCE = 200
"""Days that one invocation archives at most."""

ENTRIES_IN_A_PART = 10_000


@dataclass(frozen=True, slots=True)
class Archived:
    """What one invocation has archived."""

    days: int
    differing: int
    """Days of whose ledger the counters say something else."""


def archive_due(store: Store, archives: Archives, *, now: datetime) -> Archived:
    """Archive the days that are due, of all tenants; says how many. What fails stays due."""
    archived = differing = 0
    for tenant_id, day in rollups.list_due_days(store, now=now, limit=ARCHIVED_AT_ONCE):
        try:
            agrees = archive(store, archives, tenant_id, day)
        except DependencyUnavailable as error:
            logger.warning("not archived", tenant_id=tenant_id, day=str(day), error=str(error))
            continue
        archived += 1
        differing += not agrees
    return Archived(archived, differing)


def archive(store: Store, archives: Archives, tenant_id: str, day: date) -> bool:
    """Write a day's ledger to the bucket, newest first, in parts, from where an earlier try at it has come to.

    Says whether the counters agree with it.

    Raises:
        DependencyUnavailable: the table or the bucket does not answer.
    """
    begun = rollups.read_begun(store, tenant_id, day)
    for part in _in_parts(store, tenant_id, day, after=begun.last):
        records = [ledger.content_of(tenant_id, entry) for entry in part]
        archives.write(tenant_id, _path(day, begun.parts), records)
        begun = Begun(begun.parts + 1, begun.events + len(part), ledger.place_of(part[-1]))
        if len(part) == ENTRIES_IN_A_PART:
            rollups.note_begun(store, tenant_id, day, begun)
    agrees = rollups.note_archived(store, tenant_id, day, events=begun.events)
    if not agrees:
        logger.error("archive differs from counters", tenant_id=tenant_id, day=str(day), events=begun.events)
    return agrees


def read_archive(archives: Archives, tenant_id: str, day: date, *, events: int) -> Iterator[Mapping[str, object]]:
    """What was archived of a day, so many events, newest first.

    Raises:
        DependencyUnavailable: the bucket does not answer.
    """
    for number in range(-(-events // ENTRIES_IN_A_PART)):
        yield from archives.read(tenant_id, _path(day, number))


def _path(day: date, number: int) -> str:
    return f"usage/ledger/{day}/{number:04}.jsonl.gz"


def _in_parts(store: Store, tenant_id: str, day: date, *, after: str | None) -> Iterator[Sequence[Entry]]:
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    entries = ledger.entries_between(store, tenant_id, start=start, end=start + timedelta(days=1), after=after)
    while part := list(islice(entries, ENTRIES_IN_A_PART)):
        yield part
