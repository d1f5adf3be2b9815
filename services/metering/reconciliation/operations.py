"""Recounting the ledger, and correcting counters that differ from it."""

from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby

from services.metering.counters.domain.amounts import Amounts
from services.metering.counters.domain.days import Days, month_of
from services.metering.counters.domain.hours import Revision
from services.metering.counters.table.revisions import OpenRevisionTable
from services.metering.counters.table.rollups import RollUpTable
from services.metering.counters.table.rows import HourTable
from services.metering.errors import DayTooLarge
from services.metering.hours.domain import correction_event, revision_events
from services.metering.ledger.table.entries import CountedEntry, LedgerTable
from services.metering.reconciliation import domain
from services.metering.reconciliation.domain import CounterKey, LedgerTotals
from services.metering.reconciliation.table import ClosedHour, CounterTable
from shared.deadline import remaining_s
from shared.drift import Drift
from shared.meters import Meters
from shared.storage.store import Store

MAX_ENTRIES_PER_RECOUNT = 20_000
"""The limit of entries after which a recount stops at the end of a day, so that it completes in time."""

RECOUNT_PAUSE_S = 5
"""Seconds between two recounts, more than the index of the ledger takes to follow the table."""

_ENTRIES_PER_DEADLINE_CHECK = 1_000


@dataclass(frozen=True, slots=True)
class Recount:
    """The result of a recount."""

    days: Days
    """The recounted days: the newest of the requested range."""
    ledger: LedgerTotals
    counters: dict[CounterKey, Amounts]
    """The counters as they are."""
    closed_hours: Sequence[ClosedHour]

    @property
    def expected(self) -> domain.Counters:
        """The counters as they should be."""
        return domain.folded_counters(self.ledger.counters, self.counters)

    @property
    def drift(self) -> list[Drift]:
        """The differences between the counters and the ledger."""
        return domain.drift_of(self.expected, self.counters)


def recount(store: Store, tenant_id: str, days: Days, *, max_entries: int = MAX_ENTRIES_PER_RECOUNT) -> Recount:
    """Recount the ledger of these days, newest first, and stop after the day that reaches the limit of entries.

    Raises:
        DayTooLarge: the time ended within a day.
    """
    opened = {state.revision for state in OpenRevisionTable(store, tenant_id).all()}
    first, totals = _sum_ledger(store, tenant_id, days, opened, max_entries=max_entries)
    recounted = Days(first, days.end)
    counters = CounterTable(store, tenant_id)
    closed = counters.closed_hours(recounted)
    open_hours = {revision.hour for revision in opened if revision.hour.date() in recounted}
    hours = {hour.hour for hour in closed} | open_hours | _hours(totals)
    actual = {
        **_summed(counters.hours(sorted(hours))),
        **counters.days(recounted),
        **{_key_of(hour): hour.amounts for hour in closed},
    }
    return Recount(recounted, totals, actual, closed)


def _sum_ledger(
    store: Store, tenant_id: str, days: Days, opened: Set[Revision], *, max_entries: int
) -> tuple[date, LedgerTotals]:
    """Sum the ledger of these days, newest first, and return the oldest day of the sum."""
    totals = LedgerTotals()
    for day, entries in groupby(_entries(store, tenant_id, days), key=_day_of):
        for counted in entries:
            if totals.entries % _ENTRIES_PER_DEADLINE_CHECK == 0 and remaining_s() <= 0:
                raise DayTooLarge(day, totals.entries)
            totals.add(counted.entry, counted.revision, row=counted.row, rolled_up=counted.revision not in opened)
        if totals.entries >= max_entries:
            return day, totals
    return days.start, totals


def compare_months(store: Store, tenant_id: str, days: Days) -> list[Drift]:
    """Return the differences between the whole months in this range and the sums of their days."""
    whole, counters = days.whole_months, CounterTable(store, tenant_id)
    by_days, found = domain.months_of(counters.days(whole)), counters.months(whole)
    return domain.drift_of(domain.folded_counters(by_days, found), found)


def correct_days(store: Store, tenant_id: str, days: Days, *, sleep: Callable[[int], None]) -> list[Drift]:
    """Correct the counters of these days to match the ledger, and return the corrected differences.

    A recount reads ledger and counters one after the other, so usage that is counted meanwhile looks like drift. A
    counter is corrected only if two recounts find the same difference; the same amount is added whatever was counted
    since.

    Raises:
        CounterChanged: a counter changed while it was corrected. Earlier corrections stay.
    """
    corrected: list[Drift] = []
    day = days.start
    while day < days.end:
        one_day = Days(day, day + timedelta(days=1))
        earlier = _differences(recount(store, tenant_id, one_day))
        if earlier:
            sleep(RECOUNT_PAUSE_S)
            recounted = recount(store, tenant_id, one_day)
            later = _differences(recounted)
            confirmed = {key for key, difference in later.items() if earlier.get(key) == difference}
            corrected += _correct(store, tenant_id, recounted.expected, recounted.counters, only=confirmed)
        day += timedelta(days=1)
    return corrected


def _differences(recounted: Recount) -> dict[CounterKey, Amounts]:
    """Return the missing amounts of each wrong counter."""
    return {
        key: expected_amounts.minus(actual_amounts)
        for key, expected_amounts, actual_amounts in domain.differing_counters(recounted.expected, recounted.counters)
    }


def correct_month(store: Store, tenant_id: str, month: date) -> list[Drift]:
    """Correct the counters of a month to match the sums of its days, and return the corrected differences."""
    whole, counters = month_of(month), CounterTable(store, tenant_id)
    by_days, found = domain.months_of(counters.days(whole)), counters.months(whole)
    return _correct(store, tenant_id, domain.folded_counters(by_days, found), found)


def republish(store: Store, tenant_id: str, hour: datetime, numbers: Iterable[int], *, now: datetime) -> list[str]:
    """Publish revisions of an hour again, with the same content, and return the ids of the events."""
    event_ids: list[str] = []
    revisions = [Revision(hour, number) for number in numbers]
    for revision, total in HourTable(store, tenant_id).read_totals(revisions).items():
        for event in revision_events(tenant_id, revision, total, at=now):
            RollUpTable(store, tenant_id).publish(event)
            event_ids.append(event.id)
    return event_ids


def publish_correction(
    store: Store, tenant_id: str, hour: datetime, meters: Meters, *, events: int, now: datetime
) -> Revision:
    """Publish the difference of a closed hour, as a correction, to consumers that received other amounts.

    Raises:
        CounterChanged: usage of this hour arrived meanwhile.
    """
    counters = CounterTable(store, tenant_id)
    revision = counters.next_revision(hour)
    event = correction_event(tenant_id, revision, Amounts(events, meters=meters), at=now)
    counters.publish_correction(revision, event)
    return revision


def _correct(
    store: Store,
    tenant_id: str,
    expected: domain.Counters,
    actual: domain.Counters,
    *,
    only: Set[CounterKey] | None = None,
) -> list[Drift]:
    corrected: list[Drift] = []
    for key, expected_amounts, actual_amounts in list(domain.differing_counters(expected, actual)):
        if only is None or key in only:
            CounterTable(store, tenant_id).correct(key, expected=expected_amounts, actual=actual_amounts)
            corrected += domain.drift_of_counter(key, expected_amounts, actual_amounts)
    return corrected


def _key_of(closed: ClosedHour) -> CounterKey:
    return CounterKey(domain.CounterKind.CLOSED, f"{closed.hour:%Y-%m-%dT%H}")


def _day_of(counted: CountedEntry) -> date:
    return counted.entry.occurred_at.date()


def _entries(store: Store, tenant_id: str, days: Days) -> Iterator[CountedEntry]:
    return LedgerTable(store, tenant_id).counted_between(start=_midnight(days.start), end=_midnight(days.end))


def _summed(counted: Iterable[tuple[CounterKey, Amounts]]) -> dict[CounterKey, Amounts]:
    sums: dict[CounterKey, Amounts] = {}
    for key, amounts in counted:
        sums[key] = sums.get(key, Amounts()).plus(amounts)
    return sums


def _hours(totals: LedgerTotals) -> set[datetime]:
    hours = {key.at for key in totals.counters if key.kind is domain.CounterKind.HOUR}
    return {datetime.strptime(hour, "%Y-%m-%dT%H").replace(tzinfo=UTC) for hour in hours}


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
