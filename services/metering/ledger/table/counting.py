"""Counting: the transaction that writes ledger entries and increments their counters."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from services.metering.counters.domain.amounts import Amounts
from services.metering.counters.domain.counter import MAX_ROWS_PER_SHARD, HourCounter
from services.metering.counters.domain.hours import Revision
from services.metering.counters.table.attributes import DIMENSIONS
from services.metering.counters.table.rows import ACCEPTS_USAGE, HourTable
from services.metering.ledger.domain.counting import RowAssignment, increments_of
from services.metering.ledger.domain.entries import LedgerEntry
from services.metering.ledger.table.entries import CountedEntry, LedgerTable
from shared.events.envelope import Event
from shared.storage.items import Key, Value
from shared.storage.store import Refused
from shared.storage.table import TenantRows, adding
from shared.storage.transaction import ABSENT, MAX_ACTIONS, Expression, Transaction

MAX_ACTIONS_PER_TRANSACTION = MAX_ACTIONS
"""The limit of actions in one transaction of entries."""


@dataclass(slots=True)
class Refusals:
    """The reasons for which a transaction was refused; empty if it succeeded."""

    existing_hashes: dict[str, str] = field(default_factory=dict[str, str])
    """The content hashes of entries that the ledger contains already, by event id."""
    unopened: set[Revision] = field(default_factory=set[Revision])
    """Revisions that are not opened yet."""
    closed: set[Revision] = field(default_factory=set[Revision])
    """Revisions that accept no more usage."""
    is_outdated: bool = False
    """Rows were added meanwhile, so the existing rows must be read again."""

    def __bool__(self) -> bool:
        return bool(self.existing_hashes or self.unopened or self.closed or self.is_outdated)


class CountingTable(TenantRows):
    """The transaction of ledger entries and their counters."""

    def add_entries(
        self,
        entries: Sequence[LedgerEntry],
        *,
        revisions: Mapping[datetime, Revision],
        assignment: RowAssignment,
        events: Sequence[Event[Any]] = (),
    ) -> Refusals:
        """Write ledger entries, increment their counters and publish the events, all in one transaction.

        Args:
            entries: the entries of one transaction.
            revisions: the revision of each hour that accepts usage.
            assignment: the rows that count the entries.
            events: the events that publish the entries.
        """
        ledger, hours = LedgerTable(self.store, self.tenant_id), HourTable(self.store, self.tenant_id)
        transaction = self.transaction()
        transaction.emit(*events)
        by_key = {ledger.key(entry.event_id): entry for entry in entries}
        for entry in entries:
            counted = CountedEntry(entry, revisions[entry.hour], assignment.row_of(entry))
            transaction.put(ledger.counted_item(counted), when=ABSENT)
        increments = increments_of(entries, revisions, assignment)
        counters = {hours.key(counter): counter for counter in increments}
        for key, counter in counters.items():
            expiry = hours.expiry(counter.revision)
            _increment(transaction, key, counter, increments[counter], new=assignment.new, expiry=expiry)
        return _refusals(self.store.try_commit(transaction), by_key=by_key, counters=counters)


def _increment(
    transaction: Transaction,
    key: Key,
    counter: HourCounter,
    amounts: Amounts,
    *,
    new: Collection[HourCounter],
    expiry: Mapping[str, Value],
) -> None:
    """Add amounts to a counter. The total also contains the number of rows of its shard, which includes new rows."""
    if counter.dimensions:
        change = adding(amounts.numbers, {**DIMENSIONS.encode(counter.dimensions), **expiry})
        transaction.update(key, change, when=ABSENT if counter in new else None)
        return
    rows = sum((row.revision, row.shard) == (counter.revision, counter.shard) for row in new)
    numbers = {**amounts.numbers, "rows": rows} if rows else amounts.numbers
    transaction.update(key, adding(numbers, expiry), when=_takes_rows(rows) if rows else ACCEPTS_USAGE)


def _takes_rows(number: int) -> Expression:
    room = Expression("(attribute_not_exists(#rows) OR #rows <= :room)", {"room": MAX_ROWS_PER_SHARD - number})
    return Expression(f"{ACCEPTS_USAGE.text} AND {room.text}", room.values)


def _refusals(
    refused: Sequence[Refused], *, by_key: Mapping[Key, LedgerEntry], counters: Mapping[Key, HourCounter]
) -> Refusals:
    refusals = Refusals()
    for refusal in refused:
        key = refusal.action.key
        if key in by_key:
            refusals.existing_hashes[by_key[key].event_id] = str((refusal.existing or {})["content_hash"])
        elif refusal.existing is None:
            refusals.unopened.add(counters[key].revision)
        elif refusal.existing.get("closed"):
            refusals.closed.add(counters[key].revision)
        else:
            refusals.is_outdated = True
    return refusals
