"""The counters as they stand, for a recount; and their correction."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime

from services.metering.domain.hours import Revision
from services.metering.domain.periods import Days
from services.metering.domain.recount import Place, Spot
from services.metering.domain.usage import Amounts
from services.metering.errors import CounterMoved
from services.metering.table import KEPT, SLICE
from services.metering.table.amounts import (
    add,
    amounts_from_item,
    dimensions_from_item,
    dimensions_to_item,
    hour_from_text,
    hour_to_text,
    place_of_dimensions,
    revision_to_text,
)
from services.metering.table.counters import read_opened
from services.metering.table.rollups import archive_place
from shared.events.envelope import Event
from shared.events.metering import MeteringEvent
from shared.storage.items import Item, Key, Reader, Value
from shared.storage.store import Store
from shared.storage.transaction import ABSENT, PRESENT, Expression, Transaction, refuse_with
from shared.times import epoch, from_text

_MOVED = refuse_with(CounterMoved())


def hour_counters(store: Store, tenant_id: str, hours: Iterable[datetime]) -> Iterator[tuple[Spot, Amounts]]:
    """The counters of these hours, those of each shard by themselves."""
    for hour in hours:
        for shard in Revision(hour).shards:
            pk = SLICE.key(tenant_id, "HOUR", hour_to_text(hour), str(shard))
            for item in store.query_all(Expression("#PK = :pk", {"pk": pk})):
                number, kind = str(item["SK"]).split("#")[:2]
                dimensions = dimensions_from_item(item) if kind == "DIM" else None
                yield Spot(Place.HOUR, hour_to_text(hour), int(number), dimensions), amounts_from_item(item)


@dataclass(frozen=True, slots=True)
class ClosedHour:
    """What an hour was rolled up to, with its corrections."""

    hour: datetime
    amounts: Amounts
    revision: int
    """The last that it was rolled up with."""
    rolled_up_at: datetime | None
    """When the last of it was announced; None: nothing was ever rolled up."""


def closed_hours(store: Store, tenant_id: str, days: Days) -> list[ClosedHour]:
    """The closed hours of these days."""
    values = {"pk": SLICE.key(tenant_id, "HOURS"), "first": f"{days.start}T", "last": f"{days.end}T"}
    # An hour is longer than the `T` that it begins with, so the last day is left out.
    found = store.query_all(Expression("#PK = :pk AND #SK BETWEEN :first AND :last", values))
    return [_closed_hour(item) for item in found]


def _closed_hour(item: Item) -> ClosedHour:
    reader, hour = Reader(item), hour_from_text(str(item["SK"]))
    at = reader.optional_text("rolled_up_at")
    return ClosedHour(hour, amounts_from_item(item), reader.integer("revision"), from_text(at) if at else None)


def day_counters(store: Store, tenant_id: str, days: Days) -> dict[Spot, Amounts]:
    """The counters of these days."""
    return _rows(store, tenant_id, Place.DAY, first=str(days.start), end=str(days.end))


def month_counters(store: Store, tenant_id: str, months: Days) -> dict[Spot, Amounts]:
    """The counters of the months that begin in this range."""
    return _rows(store, tenant_id, Place.MONTH, first=f"{months.start:%Y-%m}", end=f"{months.end:%Y-%m}")


def correct(store: Store, tenant_id: str, spot: Spot, *, wanted: Amounts, there: Amounts) -> None:
    """Add to a counter what it lacks, or take from it what it has too much.

    Args:
        store: the slice.
        tenant_id: whose.
        spot: the counter.
        wanted: what it should say.
        there: what it said when that was found out; of an hour, all shards together.

    Raises:
        CounterMoved: it has changed since.
    """
    key = _key(tenant_id, spot)
    item = store.get(key)
    transaction = Transaction(tenant_id)
    change = add(wanted.minus(there), fixed=None if item else _fixed(store, tenant_id, spot))
    transaction.update(key, change, when=_unchanged(item) if item else ABSENT, otherwise=_MOVED)
    store.commit(transaction)


def next_revision(store: Store, tenant_id: str, hour: datetime) -> Revision:
    """The first revision of an hour that nothing was ever counted in."""
    pk = SLICE.key(tenant_id, "HOUR", hour_to_text(hour), "0")
    newest = store.query(Expression("#PK = :pk", {"pk": pk}), newest_first=True, limit=1).items
    counted = [int(str(item["SK"]).partition("#")[0]) for item in newest]
    closed = store.get(Key(SLICE.key(tenant_id, "HOURS"), hour_to_text(hour)))
    counted += [Reader(closed).integer("revision")] if closed else []
    return Revision(hour, max(counted, default=0) + 1)


def tell(store: Store, tenant_id: str, revision: Revision, event: Event[MeteringEvent]) -> None:
    """Say a correction that changes no counter here, under a revision that is used up by that.

    Raises:
        CounterMoved: the revision was taken meanwhile.
    """
    transaction = Transaction(tenant_id)
    for shard in revision.shards:
        pk = SLICE.key(tenant_id, "HOUR", hour_to_text(revision.hour), str(shard))
        used_up = {"PK": pk, "SK": f"{revision_to_text(revision)}#TOTAL", "closed": True, "ttl": _lasts(revision.hour)}
        transaction.put(used_up, when=ABSENT, otherwise=_MOVED)
    hour = Key(SLICE.key(tenant_id, "HOURS"), hour_to_text(revision.hour))
    transaction.update(hour, Expression("SET #revision = :number", {"number": revision.number}))
    transaction.emit(event)
    store.commit(transaction)


def _unchanged(item: Item) -> Expression:
    before = Expression(PRESENT.text, {})
    numbers = amounts_from_item(item).numbers
    terms = [before.text, *(f"#{name} = :was_{name}" for name in numbers)]
    return Expression(" AND ".join(terms), {f"was_{name}": amount for name, amount in numbers.items()})


def _rows(store: Store, tenant_id: str, place: Place, *, first: str, end: str) -> dict[Spot, Amounts]:
    found: dict[Spot, Amounts] = {}
    for kind in ("TOTAL", "DIM"):
        values = {"pk": _partition(tenant_id, place), "first": f"{kind}#{first}", "end": f"{kind}#{end}"}
        for item in store.query_all(Expression("#PK = :pk AND #SK BETWEEN :first AND :end", values)):
            at = str(item["SK"]).split("#")[1]
            if at != end:
                dimensions = dimensions_from_item(item) if kind == "DIM" else None
                found[Spot(place, at, dimensions=dimensions)] = amounts_from_item(item)
    return found


def _key(tenant_id: str, spot: Spot) -> Key:
    if spot.place is Place.CLOSED:
        return Key(SLICE.key(tenant_id, "HOURS"), spot.at)
    kind = f"DIM#{place_of_dimensions(spot.dimensions)}" if spot.dimensions else "TOTAL"
    if spot.place is Place.HOUR:
        pk = SLICE.key(tenant_id, "HOUR", spot.at, "0")
        return Key(pk, f"{revision_to_text(_revision(spot))}#{kind}")
    row = f"DIM#{spot.at}#{place_of_dimensions(spot.dimensions)}" if spot.dimensions else f"TOTAL#{spot.at}"
    return Key(_partition(tenant_id, spot.place), row)


def _partition(tenant_id: str, place: Place) -> str:
    return SLICE.key(tenant_id, "DAYS" if place is Place.DAY else "MONTHS")


def _revision(spot: Spot) -> Revision:
    return Revision(hour_from_text(spot.at), spot.revision or 0)


def _fixed(store: Store, tenant_id: str, spot: Spot) -> dict[str, Value]:
    """What is written beside the numbers of a counter that is missing altogether."""
    if spot.place is Place.HOUR:
        lasts: dict[str, Value] = {"ttl": _lasts(hour_from_text(spot.at))}
        if spot.dimensions:
            return lasts | dimensions_to_item(spot.dimensions)
        return lasts if read_opened(store, tenant_id, _revision(spot)) else lasts | {"closed": True}
    if spot.place is Place.CLOSED:
        return {"revision": 0}
    if spot.dimensions:
        return dimensions_to_item(spot.dimensions)
    return archive_place(tenant_id, date.fromisoformat(spot.at)) if spot.place is Place.DAY else {}


def _lasts(hour: datetime) -> int:
    return epoch(hour + KEPT)
