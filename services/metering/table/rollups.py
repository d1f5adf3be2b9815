"""Roll-ups: closed hours, and the days and months that they add up to."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from services.metering.domain.hours import Revision, archived_at
from services.metering.domain.periods import Days, Sum
from services.metering.domain.rollup import Addition, Batch, PeriodRows, RollUp
from services.metering.domain.usage import OTHER, Amounts, Dimensions
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
from shared.storage.transaction import PRESENT, Expression, Transaction, refuse_with
from shared.times import to_text

_DUE = SLICE.due_key("ARCHIVE")
_MONTH = SLICE.due_key("MONTH")


class RowsAdded(Exception):
    """Another roll-up has added rows to the same day or month; which there are must be read again."""


def read_roll_up(store: Store, tenant_id: str, revision: Revision) -> RollUp:
    """Read which rows by dimensions the day and the month of a revision have."""
    day, month = f"{revision.hour:%Y-%m-%d}", f"{revision.hour:%Y-%m}"
    return RollUp(
        day=_period_rows(store, SLICE.key(tenant_id, "DAYS"), day),
        month=_period_rows(store, SLICE.key(tenant_id, "MONTHS"), month),
    )


def _period_rows(store: Store, pk: str, period: str) -> PeriodRows:
    prefix = f"DIM#{period}#"
    condition = Expression("#PK = :pk AND begins_with(#SK, :prefix)", {"pk": pk, "prefix": prefix})
    names = {str(item["SK"]).removeprefix(prefix) for item in store.query_all(condition)}
    return PeriodRows(names - {place_of_dimensions(OTHER)})


def add_batch(store: Store, tenant_id: str, opened: Opened, batch: Batch) -> Opened:
    """Add the next rows of a closed revision to their day and month.

    Raises:
        RolledUpElsewhere: somebody else does it.
        RowsAdded: see there.
    """
    transaction = Transaction(tenant_id)
    _add_rows(transaction, opened.revision, batch)
    for total, addition in _totals(tenant_id, opened.revision, batch):
        if addition.rows_after > addition.rows_before:
            change = Expression("SET #rows = :rows", {"rows": addition.rows_after})
            transaction.update(total, change, when=_has_rows(addition), otherwise=refuse_with(RowsAdded()))
    advance_opened(transaction, opened, rolled_up=batch.last)
    store.commit(transaction)
    return Opened(opened.revision, batch.last)


def finish(
    store: Store,
    tenant_id: str,
    opened: Opened,
    batch: Batch,
    *,
    total: Amounts,
    events: Sequence[Event[Any]],
    now: datetime,
) -> None:
    """Add the last rows of a closed revision, and its total to hour, day and month; take it off the list, and say so.

    Raises:
        RolledUpElsewhere: somebody else does it.
        RowsAdded: see there.
    """
    revision, transaction = opened.revision, Transaction(tenant_id)
    _add_rows(transaction, revision, batch)
    hour = Key(SLICE.key(tenant_id, "HOURS"), hour_to_text(revision.hour))
    transaction.update(hour, add(total, fixed={"revision": revision.number, "rolled_up_at": to_text(now)}))
    if total.events:
        places = (archive_place(tenant_id, revision.hour.date()), _month_place(tenant_id, revision))
        for (key, addition), place in zip(_totals(tenant_id, revision, batch), places, strict=True):
            has_new = addition.rows_after > addition.rows_before
            fixed = {**place, "rows": addition.rows_after} if has_new else place
            when = _has_rows(addition) if has_new else None
            transaction.update(key, add(total, fixed=fixed), when=when, otherwise=refuse_with(RowsAdded()))
    finish_opened(transaction, opened)
    transaction.emit(*events)
    store.commit(transaction)


def _totals(tenant_id: str, revision: Revision, batch: Batch) -> tuple[tuple[Key, Addition], tuple[Key, Addition]]:
    return (_day_key(tenant_id, revision), batch.day), (_month_key(tenant_id, revision), batch.month)


def _has_rows(addition: Addition) -> Expression:
    """Hold unless rows were added since they were read. A total from before they were counted has no number."""
    return Expression("attribute_not_exists(#rows) OR #rows <= :before", {"before": addition.rows_before})


def say(store: Store, tenant_id: str, event: Event[Any]) -> None:
    """Say something that follows from nothing but what was heard; said again, it is the same event."""
    transaction = Transaction(tenant_id)
    transaction.emit(event)
    store.commit(transaction)


def _add_rows(transaction: Transaction, revision: Revision, batch: Batch) -> None:
    for key_of, addition in ((_day_key, batch.day), (_month_key, batch.month)):
        for dimensions, amounts in addition.amounts.items():
            change = add(amounts, fixed=dimensions_to_item(dimensions))
            transaction.update(key_of(transaction.tenant_id, revision, dimensions), change)


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


def day_at(sk: str) -> date:
    """Return the day of the sort key of its total."""
    return date.fromisoformat(sk.removeprefix("TOTAL#"))


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
