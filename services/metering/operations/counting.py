"""Counting usage exactly once."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from services.metering.domain import counting
from services.metering.domain.counting import Outcome, in_parts
from services.metering.domain.hours import Revision, is_too_old
from services.metering.domain.ingestion import announcements
from services.metering.domain.summary import is_summarised
from services.metering.domain.usage import OTHER, Entry
from services.metering.errors import OutOfTime
from services.metering.operations import summarising
from services.metering.operations.summarising import Pauses
from services.metering.table import counters, ledger, rows
from services.metering.table.rows import SeenRows
from shared.deadline import remaining_s
from shared.errors import DependencyUnavailable
from shared.metrics import UNCOUNTED_USAGE
from shared.observability import report
from shared.storage.store import Store


@dataclass(slots=True)
class Counted:
    """What became of some entries."""

    outcomes: dict[tuple[str, str], Outcome] = field(default_factory=dict[tuple[str, str], Outcome])
    """By id and content."""
    in_other: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    """Those counted in the row `other` of their hour, because it has too many different dimensions."""
    failed: dict[str, Exception] = field(default_factory=dict[str, Exception])
    """By id, why some are not counted yet; they must come again."""


def count(
    store: Store,
    entries: Iterable[tuple[str, Entry]],
    *,
    now: datetime,
    pauses: Pauses | None = None,
    seen: SeenRows | None = None,
) -> dict[str, Exception]:
    """Count entries of any tenants, each exactly once, however often and in whatever company they come.

    Args:
        store: the slice.
        entries: each with its tenant.
        now: what is older than 35 days by then is kept aside.
        pauses: between summaries, as the container knows of them.
        seen: the rows of counters that the container knows to exist.

    Returns:
        By event id, why some are not counted yet; they must come again.
    """
    by_tenant: dict[str, list[Entry]] = {}
    for tenant_id, entry in entries:
        by_tenant.setdefault(tenant_id, []).append(entry)
    failed: dict[str, Exception] = {}
    for tenant_id, several in by_tenant.items():
        failed |= count_of_tenant(store, tenant_id, several, now=now, pauses=pauses, seen=seen).failed
    return failed


def count_of_tenant(
    store: Store,
    tenant_id: str,
    entries: Iterable[Entry],
    *,
    now: datetime,
    pauses: Pauses | None = None,
    seen: SeenRows | None = None,
) -> Counted:
    """Count entries of one tenant."""
    counter = _TenantCounter(store, tenant_id, seen or SeenRows())
    counted = Counted()
    taken: list[Entry] = []
    for entry in entries:
        if is_too_old(entry.occurred_at, now=now):
            _keep_aside(store, tenant_id, entry, counted, because=Outcome.TOO_OLD)
        else:
            taken.append(entry)
    for part in in_parts(taken, actions=counters.ACTIONS_AT_ONCE):
        if remaining_s() > 0:
            _count_part(counter, part, counted, now=now)
        else:
            counted.failed |= dict.fromkeys((entry.event_id for entry in part), OutOfTime())
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


def _count_part(counter: "_TenantCounter", part: Sequence[Entry], counted: Counted, *, now: datetime) -> None:
    """Count what fits into one transaction, trying again without what it refuses."""
    left = {entry.event_id: entry for entry in part}
    revisions = {entry.hour: Revision(entry.hour) for entry in part}
    try:
        while left:
            entries = list(left.values())
            allotment = counter.allot(entries, revisions, now=now)
            refused = counter.add(entries, revisions, allotment, now=now)
            if not refused:
                counted.outcomes |= {entry.identity: Outcome.COUNTED for entry in entries}
                counted.in_other |= {entry.identity for entry in entries if allotment.row_of(entry) is OTHER}
                return
            for event_id, hash_there in refused.hashes_there.items():
                _drop(counter.store, counter.tenant_id, left.pop(event_id), hash_there, counted)
            for revision in refused.closed:
                revisions[revision.hour] = counters.revision_for(counter.store, counter.tenant_id, revision)
            for revision in refused.unopened:
                counters.open_revision(counter.store, counter.tenant_id, revision, now=now)
    except DependencyUnavailable as error:
        # If the transaction was carried out all the same, they come back as duplicates.
        counted.failed |= dict.fromkeys(left, error)


@dataclass(frozen=True, slots=True)
class _TenantCounter:
    """The counters of one tenant, and the rows of them that this container knows to exist."""

    store: Store
    tenant_id: str
    seen: SeenRows

    def allot(
        self, entries: Sequence[Entry], revisions: Mapping[datetime, Revision], *, now: datetime
    ) -> counting.Allotment:
        """Choose the rows that count these entries, and open the revisions that nothing was counted in yet."""
        wanted = counting.rows_of_part(entries, revisions)
        found = rows.find_rows(self.store, self.tenant_id, wanted, seen=self.seen)
        for revision in found.unopened:
            counters.open_revision(self.store, self.tenant_id, revision, now=now)
        return counting.allot(wanted, existing=found.existing, sizes=found.sizes)

    def add(
        self,
        entries: Sequence[Entry],
        revisions: Mapping[datetime, Revision],
        allotment: counting.Allotment,
        *,
        now: datetime,
    ) -> counters.Refusals:
        """Count the entries in these rows, all of them or none."""
        events = announcements(self.tenant_id, (entry for entry in entries if entry.is_announced), at=now)
        refused = counters.add_entries(
            self.store, self.tenant_id, entries, revisions=revisions, allotment=allotment, events=events
        )
        if not refused:
            self.seen.add(rows.counter_key(self.tenant_id, row) for row in allotment.new)
        return refused


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
