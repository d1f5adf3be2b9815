"""Recounting: the amounts that every counter should have, according to the ledger.

    hour    a revision of an hour, over all its shards
    closed  a closed hour with its corrections
    day     the closed hours of a day
    month   the closed hours of a month

Hours, days and months are counted in total and by dimension, closed hours in total only.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from services.metering.counters.domain.amounts import Amounts, Dimensions
from services.metering.counters.domain.hours import Revision
from services.metering.counters.domain.rollup import fold_into_other
from services.metering.ledger.domain.entries import LedgerEntry, UsageKind
from shared.drift import Drift, Tally, drift_between, span_of_run, tally_of_call
from shared.meters import Meter

BUDGET_METERS = (Meter.TOKENS_IN, Meter.TOKENS_OUT, Meter.TOKENS_UNCERTAIN)
"""The token meters that reduce a budget."""


class CounterKind(StrEnum):
    """The kind of a counter."""

    HOUR = "hour"
    CLOSED = "closed hour"
    DAY = "day"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class CounterKey:
    """The identity of one counter."""

    kind: CounterKind
    at: str
    """`2026-11-22T23`, `2026-11-22` or `2026-11`."""
    revision: int | None = None
    """Set for hours only."""
    dimensions: Dimensions | None = None
    """None for the total."""

    @property
    def subject(self) -> str | None:
        """The revision and dimensions as text for operators; None if there are neither."""
        parts = [] if self.revision is None else [f"revision {self.revision}"]
        if self.dimensions:
            values = (self.dimensions.agent_id, self.dimensions.model, self.dimensions.provider)
            parts += [value or "-" for value in (*values, self.dimensions.project_id)]
        return " ".join(parts) or None


Counters = Mapping[CounterKey, Amounts]


@dataclass(slots=True)
class LedgerTotals:
    """The sums of ledger entries."""

    counters: dict[CounterKey, Amounts] = field(default_factory=dict[CounterKey, Amounts])
    spent: dict[str, dict[str, int]] = field(default_factory=dict[str, dict[str, int]])
    """The requests and tokens that reduced the budget of each month."""
    calls: dict[str, Tally] = field(default_factory=dict[str, Tally])
    """The tallies of calls, by the time at which their runs were created."""
    entries: int = 0

    def add(self, entry: LedgerEntry, revision: Revision, *, row: Dimensions, rolled_up: bool) -> None:
        """Add an entry to every counter that should contain it.

        Args:
            entry: the ledger entry.
            revision: the revision of its hour that counts it.
            row: the dimensions of the row that counts it in this revision.
            rolled_up: whether the revision is rolled up into its day and month.
        """
        self.entries += 1
        for key in _counter_keys(row, revision, rolled_up=rolled_up):
            self.counters[key] = self.counters.get(key, Amounts()).plus(entry.amounts)
        if entry.origin.kind in {UsageKind.CALL, UsageKind.REPORTED}:
            spent = self.spent.setdefault(entry.period, {"requests": 0, "tokens": 0})
            spent["requests"] += entry.meters.get(Meter.REQUESTS, 0)
            spent["tokens"] += sum(entry.meters.get(meter, 0) for meter in BUDGET_METERS)
        if entry.origin.run_id and entry.origin.kind is UsageKind.CALL:
            span = span_of_run(entry.origin.run_id)
            tally = tally_of_call(entry.event_id, entry.meters)
            self.calls[span] = self.calls.get(span, Tally()).plus(tally)


def _counter_keys(dimensions: Dimensions, revision: Revision, *, rolled_up: bool) -> Iterator[CounterKey]:
    hour = f"{revision.hour:%Y-%m-%dT%H}"
    yield CounterKey(CounterKind.HOUR, hour, revision.number)
    yield CounterKey(CounterKind.HOUR, hour, revision.number, dimensions)
    if rolled_up:
        yield CounterKey(CounterKind.CLOSED, hour)
        day = hour[:10]
        yield CounterKey(CounterKind.DAY, day)
        yield CounterKey(CounterKind.DAY, day, dimensions=dimensions)


def folded_counters(expected: Counters, actual: Counters) -> Counters:
    """Return the expected counters, where a full day or month counts further combinations as `other`."""
    periods: dict[tuple[CounterKind, str], dict[Dimensions, Amounts]] = {}
    stored: dict[tuple[CounterKind, str], set[Dimensions]] = {}
    result: dict[CounterKey, Amounts] = {}
    for key, amounts in expected.items():
        if key.kind in {CounterKind.DAY, CounterKind.MONTH} and key.dimensions:
            periods.setdefault((key.kind, key.at), {})[key.dimensions] = amounts
        else:
            result[key] = amounts
    for key in actual:
        if key.dimensions:
            stored.setdefault((key.kind, key.at), set()).add(key.dimensions)
    for (kind, at), rows in periods.items():
        for dimensions, amounts in fold_into_other(rows, stored.get((kind, at), set())).items():
            result[CounterKey(kind, at, dimensions=dimensions)] = amounts
    return result


def drift_of(expected: Counters, actual: Counters) -> list[Drift]:
    """Return the differences between the counters and the ledger."""
    return [
        drift
        for key, expected_amounts, actual_amounts in differing_counters(expected, actual)
        for drift in drift_of_counter(key, expected_amounts, actual_amounts)
    ]


def differing_counters(expected: Counters, actual: Counters) -> Iterator[tuple[CounterKey, Amounts, Amounts]]:
    """Yield each counter that is wrong, with its expected and its actual amounts."""
    for key in {**expected, **actual}:
        expected_amounts, actual_amounts = expected.get(key, Amounts()), actual.get(key, Amounts())
        if expected_amounts.numbers != actual_amounts.numbers:
            yield key, expected_amounts, actual_amounts


def drift_of_counter(key: CounterKey, expected: Amounts, actual: Amounts) -> Iterator[Drift]:
    """Return the differences of one counter, by number."""
    return drift_between(expected.numbers, actual.numbers, place=key.kind, at=key.at, subject=key.subject)


def months_of(days: Counters) -> dict[CounterKey, Amounts]:
    """Return the counters of months as the sums of counters of days."""
    months: dict[CounterKey, Amounts] = {}
    for key, amounts in days.items():
        month = CounterKey(CounterKind.MONTH, key.at[:7], dimensions=key.dimensions)
        months[month] = months.get(month, Amounts()).plus(amounts)
    return months
