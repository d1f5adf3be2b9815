"""Counting each usage event exactly once."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from services.metering.counters.domain.amounts import OTHER
from services.metering.counters.domain.hours import Revision, is_too_old
from services.metering.counters.table.revisions import OpenRevisionTable
from services.metering.counters.table.rows import HourTable, SeenRows
from services.metering.errors import InvocationTimeExceeded
from services.metering.ledger.domain import counting
from services.metering.ledger.domain.counting import CountingOutcome, split_into_transactions
from services.metering.ledger.domain.entries import LedgerEntry
from services.metering.ledger.domain.events import ingested_events
from services.metering.ledger.table.counting import MAX_ACTIONS_PER_TRANSACTION, CountingTable, Refusals
from services.metering.ledger.table.entries import LedgerTable
from shared.deadline import remaining_s
from shared.errors import DependencyUnavailable
from shared.metrics import UNCOUNTED_USAGE
from shared.observability import report
from shared.storage.store import Store


@dataclass(slots=True)
class CountingResult:
    """The result of counting some entries."""

    outcomes: dict[tuple[str, str], CountingOutcome] = field(default_factory=dict[tuple[str, str], CountingOutcome])
    """The outcome of each entry, by its id and content."""
    in_other: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    """The entries that are counted in the row `other` of their hour, because it has too many combinations of
    dimensions."""
    failed: dict[str, Exception] = field(default_factory=dict[str, Exception])
    """The errors of entries that are not counted yet and must be delivered again, by event id."""


def count(
    store: Store,
    tenant_id: str,
    entries: Iterable[LedgerEntry],
    *,
    now: datetime,
    seen: SeenRows | None = None,
) -> CountingResult:
    """Count entries of one tenant, each exactly once, however often they are delivered and in any batch.

    Args:
        store: the slice.
        tenant_id: the tenant.
        entries: the entries.
        now: the current time. Entries that are more than 35 days old are quarantined.
        seen: the counter rows that the container knows to exist.
    """
    counter = _EntryCounter(store, tenant_id, seen or SeenRows(), now)
    accepted: list[LedgerEntry] = []
    for entry in entries:
        if is_too_old(entry.occurred_at, now=now):
            counter.quarantine(entry, CountingOutcome.TOO_OLD)
        else:
            accepted.append(entry)
    for batch in split_into_transactions(accepted, max_actions=MAX_ACTIONS_PER_TRANSACTION):
        if remaining_s() > 0:
            counter.count(batch)
        else:
            counter.fail(batch, InvocationTimeExceeded())
    return counter.result


def count_all(store: Store, tenant_id: str, entries: Iterable[LedgerEntry], *, now: datetime) -> None:
    """Count entries of one tenant that must all be counted.

    Raises:
        DependencyUnavailable: some entries are not counted yet.
    """
    for error in count(store, tenant_id, entries, now=now).failed.values():
        raise error


@dataclass(frozen=True, slots=True)
class _EntryCounter:
    """Counts entries of one tenant, one transaction at a time, and collects the result."""

    store: Store
    tenant_id: str
    seen: SeenRows
    now: datetime
    result: CountingResult = field(default_factory=CountingResult)

    def count(self, batch: Sequence[LedgerEntry]) -> None:
        """Count the entries of one transaction, retrying without those that it refuses."""
        remaining = {entry.event_id: entry for entry in batch}
        revisions = {entry.hour: Revision(entry.hour) for entry in batch}
        try:
            while remaining and (refusals := self._commit(list(remaining.values()), revisions)):
                for event_id, existing_hash in refusals.existing_hashes.items():
                    self._drop(remaining.pop(event_id), existing_hash)
                self._update_revisions(revisions, refusals)
        except DependencyUnavailable as error:
            # If the transaction succeeded in spite of the error, the entries are duplicates when they are delivered
            # again.
            self.fail(remaining.values(), error)

    def fail(self, entries: Iterable[LedgerEntry], error: Exception) -> None:
        """Record that these entries are not counted yet."""
        self.result.failed |= dict.fromkeys((entry.event_id for entry in entries), error)

    def quarantine(self, entry: LedgerEntry, outcome: CountingOutcome) -> None:
        """Quarantine an entry that must not be counted."""
        try:
            LedgerTable(self.store, self.tenant_id).quarantine(entry, reason=outcome)
        except DependencyUnavailable as error:
            self.fail([entry], error)
            return
        self.result.outcomes[entry.identity] = outcome
        measured = {UNCOUNTED_USAGE: int(not entry.needs_event)}
        report("usage quarantined", measured, because=outcome, tenant_id=self.tenant_id, event_id=entry.event_id)

    def _commit(self, entries: Sequence[LedgerEntry], revisions: Mapping[datetime, Revision]) -> Refusals:
        """Count all entries in one transaction, or none."""
        assignment = self._assign_rows(entries, revisions)
        events = ingested_events(self.tenant_id, (entry for entry in entries if entry.needs_event), at=self.now)
        refusals = CountingTable(self.store, self.tenant_id).add_entries(
            entries, revisions=revisions, assignment=assignment, events=events
        )
        if not refusals:
            self.seen.add(self._hours.key(row) for row in assignment.new)
            self.result.outcomes |= {entry.identity: CountingOutcome.COUNTED for entry in entries}
            self.result.in_other |= {entry.identity for entry in entries if assignment.row_of(entry) is OTHER}
        return refusals

    def _assign_rows(
        self, entries: Sequence[LedgerEntry], revisions: Mapping[datetime, Revision]
    ) -> counting.RowAssignment:
        """Choose the rows that count these entries, and open revisions that have no usage yet."""
        candidates = counting.candidate_rows(entries, revisions)
        found = self._hours.find_rows(candidates, seen=self.seen)
        self._open(found.unopened)
        return counting.assign_rows(candidates, existing=found.existing, sizes=found.sizes)

    def _update_revisions(self, revisions: dict[datetime, Revision], refusals: Refusals) -> None:
        """Replace revisions that are closed, and open those that are not opened yet."""
        for revision in refusals.closed:
            revisions[revision.hour] = self._hours.revision_after(revision)
        self._open(refusals.unopened)

    def _open(self, revisions: Iterable[Revision]) -> None:
        for revision in revisions:
            OpenRevisionTable(self.store, self.tenant_id).open(revision, now=self.now)

    @property
    def _hours(self) -> HourTable:
        return HourTable(self.store, self.tenant_id)

    def _drop(self, entry: LedgerEntry, existing_hash: str) -> None:
        """Drop an entry whose id the ledger contains already, and quarantine it if the content differs."""
        if entry.content_hash == existing_hash:
            self.result.outcomes[entry.identity] = CountingOutcome.DUPLICATE
        else:
            self.quarantine(entry, CountingOutcome.CONFLICT)
