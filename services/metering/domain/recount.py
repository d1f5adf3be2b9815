"""Recounting: what the ledger adds up to, wherever a counter should say the same.

    hour    a revision of an hour, over all its shards
    closed  a closed hour with its corrections
    day     the closed hours of a day
    month   the same of a month

Hours, days and months are counted as totals and by dimensions, closed hours as totals alone.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from services.metering.domain.hours import Revision
from services.metering.domain.rollup import fold
from services.metering.domain.usage import Amounts, Dimensions, Entry, Kind
from shared.drift import Drift, Tally, drift_between, span_of_run, tally_of_call
from shared.meters import Meter

BUDGETED = (Meter.TOKENS_IN, Meter.TOKENS_OUT, Meter.TOKENS_UNCERTAIN)
"""The tokens that a budget is reduced by."""


class Place(StrEnum):
    """Where usage is counted."""

    HOUR = "hour"
    CLOSED = "closed hour"
    DAY = "day"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class Spot:
    """One counter."""

    place: Place
    at: str
    """`2026-11-22T23`, `2026-11-22` or `2026-11`."""
    revision: int | None = None
    """Of an hour."""
    dimensions: Dimensions | None = None
    """None: the total."""

    @property
    def subject(self) -> str | None:
        """What it is broken down by, for a person to read."""
        parts = [] if self.revision is None else [f"revision {self.revision}"]
        if self.dimensions:
            values = (self.dimensions.agent_id, self.dimensions.model, self.dimensions.provider)
            parts += [value or "-" for value in (*values, self.dimensions.project_id)]
        return " ".join(parts) or None


Counters = Mapping[Spot, Amounts]


@dataclass(slots=True)
class Recount:
    """What entries of the ledger add up to."""

    counters: dict[Spot, Amounts] = field(default_factory=dict[Spot, Amounts])
    spent: dict[str, dict[str, int]] = field(default_factory=dict[str, dict[str, int]])
    """By month of the budget: the requests and tokens that it was reduced by."""
    calls: dict[str, Tally] = field(default_factory=dict[str, Tally])
    """Of the entries that calls made: their tallies, by the time in which their runs were made."""
    entries: int = 0

    def add(self, entry: Entry, revision: Revision, *, row: Dimensions, rolled_up: bool) -> None:
        """Count an entry wherever it should be counted.

        Args:
            entry: of the ledger.
            revision: of its hour, that counts it.
            row: the dimensions of the row that counts it there.
            rolled_up: whether the revision is in its day and month.
        """
        self.entries += 1
        for spot in _spots(row, revision, rolled_up=rolled_up):
            self.counters[spot] = self.counters.get(spot, Amounts()).plus(entry.amounts)
        if entry.origin.kind in {Kind.CALL, Kind.REPORTED}:
            spent = self.spent.setdefault(entry.period, {"requests": 0, "tokens": 0})
            spent["requests"] += entry.meters.get(Meter.REQUESTS, 0)
            spent["tokens"] += sum(entry.meters.get(meter, 0) for meter in BUDGETED)
        if entry.origin.run_id and entry.origin.kind is Kind.CALL:
            span = span_of_run(entry.origin.run_id)
            tally = tally_of_call(entry.event_id, entry.meters)
            self.calls[span] = self.calls.get(span, Tally()).plus(tally)


def _spots(dimensions: Dimensions, revision: Revision, *, rolled_up: bool) -> Iterator[Spot]:
    hour = f"{revision.hour:%Y-%m-%dT%H}"
    yield Spot(Place.HOUR, hour, revision.number)
    yield Spot(Place.HOUR, hour, revision.number, dimensions)
    if rolled_up:
        yield Spot(Place.CLOSED, hour)
        day = hour[:10]
        yield Spot(Place.DAY, day)
        yield Spot(Place.DAY, day, dimensions=dimensions)


def folded(expected: Counters, found: Counters) -> Counters:
    """Return what counters of days and months should be, where those that can have no more rows use `other`."""
    periods: dict[tuple[Place, str], dict[Dimensions, Amounts]] = {}
    stored: dict[tuple[Place, str], set[Dimensions]] = {}
    result: dict[Spot, Amounts] = {}
    for spot, amounts in expected.items():
        if spot.place in {Place.DAY, Place.MONTH} and spot.dimensions:
            periods.setdefault((spot.place, spot.at), {})[spot.dimensions] = amounts
        else:
            result[spot] = amounts
    for spot in found:
        if spot.dimensions:
            stored.setdefault((spot.place, spot.at), set()).add(spot.dimensions)
    for (place, at), rows in periods.items():
        for dimensions, amounts in fold(rows, stored.get((place, at), set())).items():
            result[Spot(place, at, dimensions=dimensions)] = amounts
    return result


def drift_of(expected: Counters, found: Counters) -> list[Drift]:
    """Where the counters do not say what the ledger adds up to."""
    return [drift for spot, wanted, there in differing(expected, found) for drift in _drift(spot, wanted, there)]


def differing(expected: Counters, found: Counters) -> Iterator[tuple[Spot, Amounts, Amounts]]:
    """The counters that are wrong, each with what it should be and what it is."""
    for spot in {**expected, **found}:
        wanted, there = expected.get(spot, Amounts()), found.get(spot, Amounts())
        if wanted.numbers != there.numbers:
            yield spot, wanted, there


def _drift(spot: Spot, wanted: Amounts, there: Amounts) -> Iterator[Drift]:
    return drift_between(wanted.numbers, there.numbers, place=spot.place, at=spot.at, subject=spot.subject)


def months_of(days: Counters) -> dict[Spot, Amounts]:
    """What counters of days add up to."""
    months: dict[Spot, Amounts] = {}
    for spot, amounts in days.items():
        month = Spot(Place.MONTH, spot.at[:7], dimensions=spot.dimensions)
        months[month] = months.get(month, Amounts()).plus(amounts)
    return months
