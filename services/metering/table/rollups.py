"""Roll-ups: closed hours, and the days and months that they add up to."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from services.metering.domain.hours import Revision, archived_at
from services.metering.domain.periods import Days, Sum
from services.metering.domain.usage import Amounts, Dimensions
from services.metering.table import SLICE
from services.metering.table.amounts import (
    add,
    amounts_from_item,
    dimensions_from_item,
    dimensions_to_item,
    hour_to_text,
    place_of_dimensions,
)
from services.metering.table.counters import Opened, advance_opened, finish_opened
from shared.events.envelope import Event
from shared.storage.items import Item, Key, Reader, Value
from shared.storage.store import Store
from shared.storage.transaction import PRESENT, Expression, Transaction
from shared.times import to_text

_DUE = SLICE.due_key("ARCHIVE")
_MONTH = SLICE.due_key("MONTH")

ROWS_AT_ONCE = 40
"""A row is two actions, one for its day and one for its month; some are left free for the rest."""

Rows = Mapping[Dimensions, Amounts]


def roll_up_some(store: Store, tenant_id: str, opened: Opened, rows: Rows) -> Opened:
    """Add the next rows of a closed revision to their day and month.

    Raises:
        RolledUpElsewhere: somebody else does it.
    """
    transaction = Transaction(tenant_id)
    _add_rows(transaction, opened.revision, rows)
    after = Opened(opened.revision, place_of_dimensions(list(rows)[-1]))
    advance_opened(transaction, opened, rolled_up=after.rolled_up)
    store.commit(transaction)
    return after


def finish(
    store: Store,
    tenant_id: str,
    opened: Opened,
    rows: Rows,
    *,
    total: Amounts,
    events: Sequence[Event[Any]],
    now: datetime,
) -> None:
    """Add the last rows of a closed revision, and its total to hour, day and month; take it off the list, and say so.

    Raises:
        RolledUpElsewhere: somebody else does it.
    """
    revision, transaction = opened.revision, Transaction(tenant_id)
    _add_rows(transaction, revision, rows)
    hour = Key(SLICE.key(tenant_id, "HOURS"), hour_to_text(revision.hour))
    transaction.update(hour, add(total, fixed={"revision": revision.number, "rolled_up_at": to_text(now)}))
    if total.events:
        transaction.update(
            _day_key(tenant_id, revision), add(total, fixed=archive_place(tenant_id, revision.hour.date()))
        )
        transaction.update(_month_key(tenant_id, revision), add(total, fixed=_month_place(tenant_id, revision)))
    finish_opened(transaction, opened)
    transaction.emit(*events)
    store.commit(transaction)


def say(store: Store, tenant_id: str, event: Event[Any]) -> None:
    """Say something that follows from nothing but what was heard; said again, it is the same event."""
    transaction = Transaction(tenant_id)
    transaction.emit(event)
    store.commit(transaction)


def _add_rows(transaction: Transaction, revision: Revision, rows: Rows) -> None:
    for dimensions, amounts in rows.items():
        change = add(amounts, fixed=dimensions_to_item(dimensions))
        transaction.update(_day_key(transaction.tenant_id, revision, dimensions), change)
        transaction.update(_month_key(transaction.tenant_id, revision, dimensions), change)


def read_days(store: Store, tenant_id: str, days: Days, *, by_dimensions: bool) -> Iterator[Sum]:
    """The days of the range that have closed hours: their totals, or the rows by dimensions."""
    pk = SLICE.key(tenant_id, "DAYS")
    for place, item in _read(store, pk, str(days.start), str(days.end), by_dimensions=by_dimensions):
        yield _sum_of(date.fromisoformat(place), item, by_dimensions=by_dimensions)


def read_months(store: Store, tenant_id: str, days: Days, *, by_dimensions: bool) -> Iterator[Sum]:
    """The months that begin in the range and have closed hours: their totals, or the rows by dimensions."""
    pk, first, end = SLICE.key(tenant_id, "MONTHS"), f"{days.start:%Y-%m}", f"{days.end:%Y-%m}"
    for place, item in _read(store, pk, first, end, by_dimensions=by_dimensions):
        yield _sum_of(date.fromisoformat(f"{place}-01"), item, by_dimensions=by_dimensions)


def list_due_days(store: Store, *, now: datetime, limit: int) -> list[tuple[str, date]]:
    """The days of all tenants that are to be archived, the most overdue first."""
    until = Expression("#due_pk = :pk AND #due_sk <= :now", {"pk": _DUE, "now": f"{to_text(now)}~"})
    places = [str(item["due_sk"]).split("#") for item in store.query(until, index="due", limit=limit).items]
    return [(tenant_id, date.fromisoformat(day)) for _, tenant_id, day in places]


@dataclass(frozen=True, slots=True)
class Begun:
    """How much of a day's ledger is in the bucket already."""

    parts: int = 0
    events: int = 0
    last: str | None = None
    """The place of the last entry there."""


def read_begun(store: Store, tenant_id: str, day: date) -> Begun:
    """How far the archive of a day is."""
    reader = Reader(store.get(_archived_key(tenant_id, day)) or {})
    return Begun(
        reader.optional_integer("archive_parts") or 0,
        reader.optional_integer("archive_events") or 0,
        reader.optional_text("archive_last"),
    )


def note_begun(store: Store, tenant_id: str, day: date, begun: Begun) -> None:
    """Another part of the day is in the bucket."""
    change = Expression(
        "SET #archive_parts = :parts, #archive_events = :events, #archive_last = :last",
        {"parts": begun.parts, "events": begun.events, "last": begun.last},
    )
    store.update(_archived_key(tenant_id, day), change, when=PRESENT)


def note_archived(store: Store, tenant_id: str, day: date, *, events: int) -> bool:
    """The day's ledger is in the bucket; says whether it has as many events as were counted."""
    change = Expression("SET #archived_events = :archived REMOVE #due_pk, #due_sk", {"archived": events})
    item = store.update(_archived_key(tenant_id, day), change, when=PRESENT)
    return item is not None and amounts_from_item(item).events == events


def read_archived(store: Store, tenant_id: str, days: Days) -> dict[date, int]:
    """Those of these days that are archived, each with the number of its events there."""
    found: dict[date, int] = {}
    rows = _read(store, SLICE.key(tenant_id, "DAYS"), str(days.start), str(days.end), by_dimensions=False)
    for place, item in rows:
        if (events := Reader(item).optional_integer("archived_events")) is not None:
            found[date.fromisoformat(place)] = events
    return found


def list_tenants(store: Store, days: Days) -> set[str]:
    """The tenants with closed hours in the months of these days."""
    # What follows the month in a place sorts below the tilde.
    values = {"pk": _MONTH, "first": f"{days.start:%Y-%m}", "last": f"{days.end:%Y-%m}~"}
    condition = Expression("#due_pk = :pk AND #due_sk BETWEEN :first AND :last", values)
    return {str(item["due_sk"]).partition("#")[2] for item in store.query_all(condition, index="due")}


def _month_place(tenant_id: str, revision: Revision) -> dict[str, Value]:
    """By it a tenant is found that used something in a month."""
    return {"due_pk": _MONTH, "due_sk": f"{revision.hour:%Y-%m}#{tenant_id}"}


def archive_place(tenant_id: str, day: date) -> dict[str, Value]:
    """Where a day's total waits for its archive."""
    return {"due_pk": _DUE, "due_sk": f"{to_text(archived_at(day))}#{tenant_id}#{day}"}


def read_hours(store: Store, tenant_id: str, days: Days) -> Iterator[tuple[str, Amounts]]:
    """The closed hours of these days with their corrections, as `2026-11-22T23`."""
    values = {"pk": SLICE.key(tenant_id, "HOURS"), "first": f"{days.start}T", "last": f"{days.end}T"}
    # An hour is longer than the `T` that it begins with, so the last day is left out.
    for item in store.query_all(Expression("#PK = :pk AND #SK BETWEEN :first AND :last", values)):
        yield str(item["SK"]), amounts_from_item(item)


def _read(store: Store, pk: str, first: str, end: str, *, by_dimensions: bool) -> Iterator[tuple[str, Item]]:
    """The rows of a partition by the names of their periods (half-open)."""
    kind = "DIM" if by_dimensions else "TOTAL"
    values = {"pk": pk, "first": f"{kind}#{first}", "end": f"{kind}#{end}"}
    for item in store.query_all(Expression("#PK = :pk AND #SK BETWEEN :first AND :end", values)):
        place = str(item["SK"]).split("#")[1]
        if place != end:
            yield place, item


def _sum_of(start: date, item: Item, *, by_dimensions: bool) -> Sum:
    return Sum(start, dimensions_from_item(item) if by_dimensions else None, amounts_from_item(item))


def _archived_key(tenant_id: str, day: date) -> Key:
    return Key(SLICE.key(tenant_id, "DAYS"), _row_place(str(day), None))


def _day_key(tenant_id: str, revision: Revision, dimensions: Dimensions | None = None) -> Key:
    return Key(SLICE.key(tenant_id, "DAYS"), _row_place(f"{revision.hour:%Y-%m-%d}", dimensions))


def _month_key(tenant_id: str, revision: Revision, dimensions: Dimensions | None = None) -> Key:
    return Key(SLICE.key(tenant_id, "MONTHS"), _row_place(f"{revision.hour:%Y-%m}", dimensions))


def _row_place(period: str, dimensions: Dimensions | None) -> str:
    return f"DIM#{period}#{place_of_dimensions(dimensions)}" if dimensions else f"TOTAL#{period}"
