"""Counting usage exactly once."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from services.metering.domain.counting import Outcome, in_parts
from services.metering.domain.hours import Revision, is_too_old
from services.metering.domain.ingestion import announcement
from services.metering.domain.summary import is_summarised
from services.metering.domain.usage import Entry
from services.metering.operations import summarising
from services.metering.operations.summarising import Pauses
from services.metering.table import counters, ledger
from shared.errors import DependencyUnavailable
from shared.metrics import UNCOUNTED_USAGE
from shared.observability import report
from shared.storage.store import Store


@dataclass(slots=True)
class Counted:
    """What became of some entries."""

    outcomes: dict[tuple[str, str], Outcome] = field(default_factory=dict[tuple[str, str], Outcome])
    """By id and content."""
    failed: dict[str, Exception] = field(default_factory=dict[str, Exception])
    """By id, why some are not counted yet; they must come again."""


def count(
    store: Store, entries: Iterable[tuple[str, Entry]], *, now: datetime, pauses: Pauses | None = None
) -> dict[str, Exception]:
    """Count entries of any tenants, each exactly once, however often and in whatever company they come.

    Args:
        store: the slice.
        entries: each with its tenant.
        now: what is older than 35 days by then is kept aside.
        pauses: between summaries, as the container knows of them.

    Returns:
        By event id, why some are not counted yet; they must come again.
    """
    by_tenant: dict[str, list[Entry]] = {}
    for tenant_id, entry in entries:
        by_tenant.setdefault(tenant_id, []).append(entry)
    failed: dict[str, Exception] = {}
    for tenant_id, several in by_tenant.items():
        failed |= count_of_tenant(store, tenant_id, several, now=now, pauses=pauses).failed
    return failed


def count_of_tenant(
    store: Store, tenant_id: str, entries: Iterable[Entry], *, now: datetime, pauses: Pauses | None = None
) -> Counted:
    """Count entries of one tenant."""
    counted = Counted()
    taken: list[Entry] = []
    for entry in entries:
        if is_too_old(entry.occurred_at, now=now):
            _keep_aside(store, tenant_id, entry, counted, because=Outcome.TOO_OLD)
        else:
            taken.append(entry)
    for part in in_parts(taken, actions=counters.ACTIONS_AT_ONCE):
        _count_part(store, tenant_id, part, counted, now=now)
    # A duplicate too: the delivery that counted it may have ended before it had said so.
    there = (Outcome.COUNTED, Outcome.DUPLICATE)
    shown = (entry for entry in taken if is_summarised(entry.meters) and counted.outcomes.get(entry.identity) in there)
    months = {f"{entry.hour:%Y-%m}" for entry in shown}
    summarising.summarise(store, tenant_id, months, now=now, pauses=pauses)
    return counted


def count_all(store: Store, tenant_id: str, entries: Iterable[Entry], *, now: datetime) -> None:
    """Count entries that belong together.

    Raises:
        DependencyUnavailable: some are not counted yet.
    """
    for error in count_of_tenant(store, tenant_id, entries, now=now).failed.values():
        raise error


def _count_part(store: Store, tenant_id: str, part: Sequence[Entry], counted: Counted, *, now: datetime) -> None:
    """Count what fits into one transaction, trying again without what it refuses."""
    left = {entry.event_id: entry for entry in part}
    revisions = {entry.hour: Revision(entry.hour) for entry in part}
    try:
        while left:
            refused = _add(store, tenant_id, list(left.values()), revisions)
            if not refused:
                counted.outcomes |= {entry.identity: Outcome.COUNTED for entry in left.values()}
                return
            for event_id, hash_there in refused.hashes_there.items():
                _drop(store, tenant_id, left.pop(event_id), hash_there, counted)
            for revision in refused.closed:
                revisions[revision.hour] = counters.revision_for(store, tenant_id, revision)
            for revision in refused.unopened:
                counters.open_revision(store, tenant_id, revision, now=now)
    except DependencyUnavailable as error:
        # If the transaction was carried out all the same, they come back as duplicates.
        counted.failed |= dict.fromkeys(left, error)


def _add(
    store: Store, tenant_id: str, entries: Sequence[Entry], revisions: Mapping[datetime, Revision]
) -> counters.Refusals:
    events = [announcement(tenant_id, entry) for entry in entries if entry.is_announced]
    return counters.add_entries(store, tenant_id, entries, revisions=revisions, events=events)


def _drop(store: Store, tenant_id: str, entry: Entry, hash_there: str, counted: Counted) -> None:
    """Leave out what the ledger has already."""
    if entry.content_hash == hash_there:
        counted.outcomes[entry.identity] = Outcome.DUPLICATE
    else:
        _keep_aside(store, tenant_id, entry, counted, because=Outcome.CONFLICT)


def _keep_aside(store: Store, tenant_id: str, entry: Entry, counted: Counted, *, because: Outcome) -> None:
    try:
        ledger.keep_aside(store, tenant_id, entry, because=because)
    except DependencyUnavailable as error:
        counted.failed[entry.event_id] = error
        return
    counted.outcomes[entry.identity] = because
    measured = {UNCOUNTED_USAGE: int(not entry.is_announced)}
    report("usage kept aside", measured, because=because, tenant_id=tenant_id, event_id=entry.event_id)
