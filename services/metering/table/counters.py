"""Counting: the one transaction of ledger and counters, and the revisions of hours that it counts in."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from services.metering.domain.counting import MAX_ROWS_PER_SHARD, Allotment, Counter, raised_by
from services.metering.domain.hours import Revision
from services.metering.domain.usage import Amounts, Entry
from services.metering.table import KEPT, SLICE
from services.metering.table.amounts import (
    add,
    amounts_from_item,
    dimensions_to_item,
    hour_from_text,
    hour_to_text,
    revision_to_text,
)
from services.metering.table.ledger import content_hash_of, entry_key, entry_to_item
from services.metering.table.rows import counter_key, shard_partition
from shared.events.envelope import Event
from shared.storage.items import Item, Key, Reader, Value
from shared.storage.store import Refused, Store
from shared.storage.transaction import ABSENT, MAX_ACTIONS, PRESENT, Expression, Transaction
from shared.times import epoch, to_text

ACTIONS_AT_ONCE = MAX_ACTIONS
"""Actions that one transaction of entries may take."""

_TAKES_USAGE = Expression("attribute_exists(PK) AND attribute_not_exists(#closed)")
_DUE = SLICE.due_key("OPEN")


@dataclass(slots=True)
class Refusals:
    """Why a transaction was refused; empty: it was carried out."""

    hashes_there: dict[str, str] = field(default_factory=dict[str, str])
    """By event id, what the ledger already has of the entries."""
    unopened: set[Revision] = field(default_factory=set[Revision])
    """Nothing was counted in these yet."""
    closed: set[Revision] = field(default_factory=set[Revision])
    """These take no more."""
    is_outdated: bool = False
    """Rows were added meanwhile: which of them exist must be read again."""

    def __bool__(self) -> bool:
        return bool(self.hashes_there or self.unopened or self.closed or self.is_outdated)


def add_entries(
    store: Store,
    tenant_id: str,
    entries: Sequence[Entry],
    *,
    revisions: Mapping[datetime, Revision],
    allotment: Allotment,
    events: Sequence[Event[Any]] = (),
) -> Refusals:
    """Write entries to the ledger, raise their counters and say the events: all of it, or nothing.

    Args:
        store: the slice.
        tenant_id: whose usage.
        entries: of one part.
        revisions: by hour, the one that takes usage.
        allotment: the rows that count the entries.
        events: that tell of the entries.
    """
    transaction = Transaction(tenant_id)
    transaction.emit(*events)
    by_key = {entry_key(tenant_id, entry.event_id): entry for entry in entries}
    for entry in entries:
        row = allotment.row_of(entry)
        transaction.put(entry_to_item(tenant_id, entry, revision=revisions[entry.hour].number, row=row), when=ABSENT)
    found = raised_by(entries, revisions, allotment)
    raised = {counter_key(tenant_id, counter): counter for counter in found}
    for key, counter in raised.items():
        _raise_counter(transaction, key, counter, found[counter], new=allotment.new)
    return _refusals(store.try_commit(transaction), by_key=by_key, raised=raised)


def _raise_counter(
    transaction: Transaction, key: Key, counter: Counter, amounts: Amounts, *, new: Collection[Counter]
) -> None:
    """Add to a counter. A total also holds how many rows its shard has; a new row is counted there."""
    lasts: dict[str, Value] = {"ttl": epoch(counter.revision.hour + KEPT)}
    if counter.dimensions:
        change = add(amounts, fixed={**dimensions_to_item(counter.dimensions), **lasts})
        transaction.update(key, change, when=ABSENT if counter in new else None)
        return
    rows = sum((one.revision, one.shard) == (counter.revision, counter.shard) for one in new)
    change = add(amounts, fixed=lasts, more={"rows": rows})
    transaction.update(key, change, when=_takes_rows(rows) if rows else _TAKES_USAGE)


def _takes_rows(number: int) -> Expression:
    room = Expression("(attribute_not_exists(#rows) OR #rows <= :room)", {"room": MAX_ROWS_PER_SHARD - number})
    return Expression(f"{_TAKES_USAGE.text} AND {room.text}", room.values)


def _refusals(refused: Sequence[Refused], *, by_key: Mapping[Key, Entry], raised: Mapping[Key, Counter]) -> Refusals:
    found = Refusals()
    for one in refused:
        key = one.action.key
        if key in by_key:
            found.hashes_there[by_key[key].event_id] = content_hash_of(one.there)
        elif one.there is None:
            found.unopened.add(raised[key].revision)
        elif one.there.get("closed"):
            found.closed.add(raised[key].revision)
        else:
            found.is_outdated = True
    return found


def open_revision(store: Store, tenant_id: str, revision: Revision, *, now: datetime) -> None:
    """Let this revision take usage on all its shards, and be closed in time; once opened, it stays as it is."""
    transaction = Transaction(tenant_id)
    for shard in revision.shards:
        total = counter_key(tenant_id, Counter(revision, shard))
        transaction.put({**total.attributes, "ttl": epoch(revision.hour + KEPT)}, when=ABSENT)
    transaction.put(
        {
            **_open_key(tenant_id, revision).attributes,
            "rolled_up": "",
            "due_pk": _DUE,
            # Not before now: usage of many old hours must not come before what has been due for longer.
            "due_sk": f"{to_text(max(revision.closes_at(opened_at=now), now))}#{tenant_id}#{_open_place(revision)}",
        },
        when=ABSENT,
    )
    store.try_commit(transaction)


def revision_for(store: Store, tenant_id: str, closed: Revision) -> Revision:
    """The revision that takes usage after this one; it may have to be opened."""
    condition = Expression("#PK = :pk", {"pk": shard_partition(tenant_id, closed, closed.shards[0])})
    [newest] = store.query(condition, newest_first=True, limit=1).items
    last = Revision(closed.hour, int(str(newest["SK"]).partition("#")[0]))
    return last.next if newest.get("closed") else last


def close_revision(store: Store, tenant_id: str, revision: Revision) -> None:
    """Let this revision take no more usage, on all its shards at once; nothing changes if it was closed before."""
    transaction = Transaction(tenant_id)
    closing = Expression("SET #closed = :yes", {"yes": True})
    for shard in revision.shards:
        transaction.update(counter_key(tenant_id, Counter(revision, shard)), closing, when=_TAKES_USAGE)
    store.try_commit(transaction)


@dataclass(frozen=True, slots=True)
class Opened:
    """A revision that is not rolled up yet."""

    revision: Revision
    rolled_up: str
    """The place of the last of its rows that is; empty before the first."""


def list_opened(store: Store, tenant_id: str) -> list[Opened]:
    """The revisions of this tenant that are not rolled up yet, as they are now."""
    condition = Expression("#PK = :pk", {"pk": SLICE.key(tenant_id, "OPEN")})
    return [_opened_from_item(item) for item in store.query_all(condition)]


def read_opened(store: Store, tenant_id: str, revision: Revision) -> Opened | None:
    """This revision, or None when it is rolled up."""
    item = store.get(_open_key(tenant_id, revision))
    return _opened_from_item(item) if item else None


def revision_at(sk: str) -> Revision:
    """Return the revision of the sort key of one that is not rolled up."""
    hour, number = sk.split("#")
    return Revision(hour_from_text(hour), int(number))


def list_tenants(store: Store) -> set[str]:
    """The tenants with a revision that is not rolled up."""
    all_of_them = Expression("#due_pk = :pk", {"pk": _DUE})
    return {str(item["due_sk"]).split("#")[1] for item in store.query_all(all_of_them, index="due")}


def finish_opened(transaction: Transaction, opened: Opened) -> None:
    """Let the transaction take this revision off the list, unless somebody else has rolled up some of it."""
    key = _open_key(transaction.tenant_id, opened.revision)
    transaction.delete(key, when=_still(opened), otherwise=lambda _: RolledUpElsewhere())


def advance_opened(transaction: Transaction, opened: Opened, *, rolled_up: str) -> None:
    """Let the transaction note how far this revision is rolled up, unless somebody else has rolled up some of it."""
    key = _open_key(transaction.tenant_id, opened.revision)
    change = Expression("SET #rolled_up = :after", {"after": rolled_up})
    transaction.update(key, change, when=_still(opened), otherwise=lambda _: RolledUpElsewhere())


class RolledUpElsewhere(Exception):
    """Somebody else is rolling up this revision."""


def read_totals(store: Store, tenant_id: str, revisions: Iterable[Revision]) -> dict[Revision, Amounts]:
    """What was counted in each revision, over all its shards."""
    keys = {
        counter_key(tenant_id, Counter(revision, shard)): revision
        for revision in revisions
        for shard in revision.shards
    }
    totals = dict.fromkeys(keys.values(), Amounts())
    for key, item in store.get_many(list(keys)).items():
        totals[keys[key]] = totals[keys[key]].plus(amounts_from_item(item))
    return totals


def _still(opened: Opened) -> Expression:
    return Expression(f"{PRESENT.text} AND #rolled_up = :before", {"before": opened.rolled_up})


def _open_place(revision: Revision) -> str:
    return f"{hour_to_text(revision.hour)}#{revision_to_text(revision)}"


def _open_key(tenant_id: str, revision: Revision) -> Key:
    return Key(SLICE.key(tenant_id, "OPEN"), _open_place(revision))


def _opened_from_item(item: Item) -> Opened:
    reader = Reader(item)
    return Opened(revision_at(reader.text("SK")), reader.text("rolled_up"))
