"""Recounting the ledger, and correcting the counters that say something else."""

from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby

from services.metering.domain import recount as domain
from services.metering.domain.closing import announcement, correction
from services.metering.domain.hours import Revision
from services.metering.domain.periods import Days, month_of
from services.metering.domain.recount import Recount, Spot
from services.metering.domain.usage import Amounts
from services.metering.errors import DayTooLarge
from services.metering.table import books, counters, ledger, rollups
from services.metering.table.books import ClosedHour
from shared.deadline import remaining_s
from shared.drift import Drift
from shared.meters import Meters
from shared.storage.store import Store

RECOUNTED_AT_ONCE = 20_000
"""Entries after which a recount stops at the end of the day, so that it ends in time."""

_CHECKED_EVERY = 1_000


@dataclass(frozen=True, slots=True)
class Account:
    """What a recount of some days has found."""

    days: Days
    """Those that were recounted: the newest of what was asked for."""
    counted: Recount
    found: dict[Spot, Amounts]
    """The counters as they stand."""
    closed: Sequence[ClosedHour]

    @property
    def expected(self) -> domain.Counters:
        """The counters as they should be."""
        return domain.folded(self.counted.counters, self.found)

    @property
    def drift(self) -> list[Drift]:
        """Where the counters do not say what the ledger adds up to."""
        return domain.drift_of(self.expected, self.found)


def recount(store: Store, tenant_id: str, days: Days, *, at_once: int = RECOUNTED_AT_ONCE) -> Account:
    """Recount the ledger of these days, from the newest on; of a large ledger only as many as can be done at once.

    Raises:
        DayTooLarge: the time was over before the end of a day.
    """
    opened = {one.revision for one in counters.list_opened(store, tenant_id)}
    counted, first = Recount(), days.start
    for day, entries in groupby(_counted(store, tenant_id, days), key=lambda one: one.entry.occurred_at.date()):
        for one in entries:
            if counted.entries % _CHECKED_EVERY == 0 and remaining_s() <= 0:
                raise DayTooLarge(day, counted.entries)
            counted.add(one.entry, one.revision, row=one.row, rolled_up=one.revision not in opened)
        if counted.entries >= at_once:
            first = day
            break
    done = Days(first, days.end)
    closed = books.closed_hours(store, tenant_id, done)
    hours = {one.hour for one in closed} | {revision.hour for revision in opened if revision.hour.date() in done}
    found = _counters(store, tenant_id, done, hours | _hours(counted))
    return Account(done, counted, {**found, **{_spot(one): one.amounts for one in closed}}, closed)


def months(store: Store, tenant_id: str, days: Days) -> list[Drift]:
    """Where the months that lie in this range do not say what their days say."""
    whole = days.whole_months
    by_days = domain.months_of(books.day_counters(store, tenant_id, whole))
    found = books.month_counters(store, tenant_id, whole)
    return domain.drift_of(domain.folded(by_days, found), found)


def correct_days(store: Store, tenant_id: str, days: Days) -> list[Drift]:
    """Make the counters of these days say what the ledger adds up to; says what was corrected.

    Raises:
        CounterMoved: something was counted meanwhile; what was corrected before stays so.
    """
    corrected: list[Drift] = []
    day = days.start
    while day < days.end:
        account = recount(store, tenant_id, Days(day, day + timedelta(days=1)))
        corrected += _correct(store, tenant_id, account.expected, account.found)
        day += timedelta(days=1)
    return corrected


def correct_month(store: Store, tenant_id: str, month: date) -> list[Drift]:
    """Make the counters of a month say what its days say; says what was corrected."""
    whole = month_of(month)
    by_days = domain.months_of(books.day_counters(store, tenant_id, whole))
    found = books.month_counters(store, tenant_id, whole)
    return _correct(store, tenant_id, domain.folded(by_days, found), found)


def say_again(store: Store, tenant_id: str, hour: datetime, numbers: Iterable[int], *, now: datetime) -> list[str]:
    """Announce revisions of an hour once more, as they were announced; says under which ids."""
    said: list[str] = []
    revisions = [Revision(hour, number) for number in numbers]
    for revision, total in counters.read_totals(store, tenant_id, revisions).items():
        for event in announcement(tenant_id, revision, total, at=now):
            rollups.say(store, tenant_id, event)
            said.append(event.id)
    return said


def tell(store: Store, tenant_id: str, hour: datetime, meters: Meters, *, events: int, now: datetime) -> Revision:
    """Announce a difference of a closed hour to those who heard something else of it.

    Raises:
        CounterMoved: usage of this hour came meanwhile.
    """
    revision = books.next_revision(store, tenant_id, hour)
    books.tell(store, tenant_id, revision, correction(tenant_id, revision, Amounts(events, meters=meters), at=now))
    return revision


def _correct(store: Store, tenant_id: str, expected: domain.Counters, found: domain.Counters) -> list[Drift]:
    wrong = list(domain.differing(expected, found))
    for spot, wanted, there in wrong:
        books.correct(store, tenant_id, spot, wanted=wanted, there=there)
    return domain.drift_of(expected, found)


def _spot(closed: ClosedHour) -> Spot:
    return Spot(domain.Place.CLOSED, f"{closed.hour:%Y-%m-%dT%H}")


def _counted(store: Store, tenant_id: str, days: Days) -> Iterator[ledger.CountedEntry]:
    return ledger.counted_between(store, tenant_id, start=_midnight(days.start), end=_midnight(days.end))


def _counters(store: Store, tenant_id: str, days: Days, hours: Set[datetime]) -> dict[Spot, Amounts]:
    return {
        **_added(books.hour_counters(store, tenant_id, sorted(hours))),
        **books.day_counters(store, tenant_id, days),
    }


def _added(counted: Iterable[tuple[Spot, Amounts]]) -> dict[Spot, Amounts]:
    added: dict[Spot, Amounts] = {}
    for spot, amounts in counted:
        added[spot] = added.get(spot, Amounts()).plus(amounts)
    return added


def _hours(counted: Recount) -> set[datetime]:
    hours = {spot.at for spot in counted.counters if spot.place is domain.Place.HOUR}
    return {datetime.strptime(hour, "%Y-%m-%dT%H").replace(tzinfo=UTC) for hour in hours}


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
