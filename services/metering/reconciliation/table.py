"""Reconciliation of counters: reading them for a recount, and correcting them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime

from services.metering.counters.domain.amounts import Amounts
from services.metering.counters.domain.counter import HourCounter
from services.metering.counters.domain.days import Days
from services.metering.counters.domain.hours import Revision, hour_from_text, hour_to_text
from services.metering.counters.table.attributes import AMOUNTS, DIMENSIONS
from services.metering.counters.table.revisions import OpenRevisionTable
from services.metering.counters.table.rollups import RollUpTable
from services.metering.counters.table.rows import HourTable
from services.metering.errors import CounterChanged
from services.metering.reconciliation.domain import CounterKey, CounterKind
from shared.events.envelope import Event
from shared.events.metering import MeteringEvent
from shared.storage.codec import Codec
from shared.storage.items import Item, Key, Value
from shared.storage.store import Store
from shared.storage.table import TenantTable, adding
from shared.storage.transaction import ABSENT, PRESENT, Expression, refuse_with

_REFUSE_CHANGED = refuse_with(CounterChanged())


@dataclass(frozen=True, slots=True)
class ClosedHour:
    """The rolled-up amounts of an hour with its corrections."""

    hour: datetime
    amounts: Amounts
    revision: int
    """The last revision that was rolled up."""
    rolled_up_at: datetime | None
    """The time of the last roll-up; None if nothing was rolled up."""


class CounterTable(TenantTable[ClosedHour]):
    """All counters of one tenant. Its records are those of closed hours."""

    prefix, id_field = "", "hour"
    codec = Codec(ClosedHour, flat={"amounts": AMOUNTS}, given=("hour",))

    def __init__(self, store: Store, tenant_id: str) -> None:
        super().__init__(store, tenant_id, "HOURS")
        self._hours = HourTable(store, tenant_id)
        self._roll_ups = RollUpTable(store, tenant_id)

    def hours(self, hours: Iterable[datetime]) -> Iterator[tuple[CounterKey, Amounts]]:
        """Yield the counters of these hours, separately for each shard."""
        for hour in hours:
            for shard in Revision(hour).shards:
                for item in self.items_below(self._hours.shard(Revision(hour), shard)):
                    number, kind = str(item["SK"]).split("#")[:2]
                    dimensions = DIMENSIONS.decode(item) if kind == "DIM" else None
                    key = CounterKey(CounterKind.HOUR, hour_to_text(hour), int(number), dimensions)
                    yield key, AMOUNTS.decode(item)

    def closed_hours(self, days: Days) -> list[ClosedHour]:
        """Return the closed hours of these days."""
        # The key of an hour is longer than the bound that ends in `T`, so the range excludes the last day.
        return [self.decode(item) for item in self.items_between(self.pk, f"{days.start}T", f"{days.end}T")]

    def days(self, days: Days) -> dict[CounterKey, Amounts]:
        """Return the counters of these days."""
        return self._rows("DAYS", CounterKind.DAY, first=str(days.start), end=str(days.end))

    def months(self, months: Days) -> dict[CounterKey, Amounts]:
        """Return the counters of the months that start in this range."""
        return self._rows("MONTHS", CounterKind.MONTH, first=f"{months.start:%Y-%m}", end=f"{months.end:%Y-%m}")

    def correct(self, counter: CounterKey, *, expected: Amounts, actual: Amounts) -> None:
        """Add the difference to a counter.

        Args:
            counter: the counter.
            expected: its expected amounts.
            actual: its amounts at the time of the recount; for an hour, the sum of all shards.

        Raises:
            CounterChanged: the counter changed between its read here and the write. A change before that is kept, since
                the difference is added.
        """
        key = self._key_of(counter)
        item = self.store.get(key)
        transaction = self.transaction()
        change = adding(expected.minus(actual).numbers, None if item else self._constants(counter))
        transaction.update(key, change, when=_unchanged(item) if item else ABSENT, otherwise=_REFUSE_CHANGED)
        self.store.commit(transaction)

    def next_revision(self, hour: datetime) -> Revision:
        """Return the first revision of an hour in which nothing was ever counted."""
        counted, _ = self._hours.newest_revision(hour) or (Revision(hour), False)
        closed = self.find(hour_to_text(hour))
        return Revision(hour, max(counted.number, closed.revision if closed else 0) + 1)

    def publish_correction(self, revision: Revision, event: Event[MeteringEvent]) -> None:
        """Publish a correction that changes no counter here, and use up its revision.

        Raises:
            CounterChanged: the revision was used meanwhile.
        """
        transaction = self.transaction()
        for total in self._hours.totals(revision):
            used_up = {**total.attributes, "closed": True, **self._hours.expiry(revision)}
            transaction.put(used_up, when=ABSENT, otherwise=_REFUSE_CHANGED)
        transaction.update(self.key(hour_to_text(revision.hour)), self.setting(revision=revision.number))
        transaction.emit(event)
        self.store.commit(transaction)

    def _rows(self, partition: str, kind: CounterKind, *, first: str, end: str) -> dict[CounterKey, Amounts]:
        counters: dict[CounterKey, Amounts] = {}
        for by_dimensions in (False, True):
            for at, item in self._roll_ups.rows_between(partition, first, end, by_dimensions=by_dimensions):
                dimensions = DIMENSIONS.decode(item) if by_dimensions else None
                counters[CounterKey(kind, at, dimensions=dimensions)] = AMOUNTS.decode(item)
        return counters

    def _key_of(self, counter: CounterKey) -> Key:
        match counter.kind:
            case CounterKind.CLOSED:
                return self.key(counter.at)
            case CounterKind.HOUR:
                return self._hours.key(HourCounter(_revision(counter), 0, counter.dimensions))
            case CounterKind.DAY:
                return self._roll_ups.day_key(date.fromisoformat(counter.at), counter.dimensions)
            case CounterKind.MONTH:
                return self._roll_ups.month_key(date.fromisoformat(f"{counter.at}-01"), counter.dimensions)

    def _constants(self, counter: CounterKey) -> dict[str, Value]:
        """Return the attributes other than amounts of a counter that does not exist."""
        dimensions = DIMENSIONS.encode(counter.dimensions) if counter.dimensions else None
        if counter.kind is CounterKind.HOUR:
            expiry = self._hours.expiry(_revision(counter))
            if dimensions is not None:
                return {**expiry, **dimensions}
            is_open = OpenRevisionTable(self.store, self.tenant_id).find_revision(_revision(counter))
            return expiry if is_open else {**expiry, "closed": True}
        if counter.kind is CounterKind.CLOSED:
            return {"revision": 0}
        if dimensions is not None:
            return dimensions
        return self._roll_ups.archive_due(date.fromisoformat(counter.at)) if counter.kind is CounterKind.DAY else {}

    def _given(self, item: Item) -> dict[str, object]:
        return {"hour": hour_from_text(str(item["SK"]))}


def _unchanged(item: Item) -> Expression:
    numbers = AMOUNTS.decode(item).numbers
    terms = [PRESENT.text, *(f"#{name} = :was_{name}" for name in numbers)]
    return Expression(" AND ".join(terms), {f"was_{name}": amount for name, amount in numbers.items()})


def _revision(counter: CounterKey) -> Revision:
    return Revision(hour_from_text(counter.at), counter.revision or 0)
