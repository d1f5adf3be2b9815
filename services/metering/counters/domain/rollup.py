"""Rolling up: the rows of a closed hour are added to the rows of its day and month, a bounded number at a time."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from services.metering.domain.usage import OTHER, Amounts, Dimensions

MAX_ROWS_PER_PERIOD = 1_000
"""Rows by dimensions of a day, and of a month. What exceeds them is added up in the row `other`, which is not one of
them. No row is ever removed, so dimensions are either always in their own row of a day or month, or always in `other`;
a change of this number must not concern days and months that have usage already."""

ROWS_AT_ONCE = 80
"""Rows of day and month that one transaction changes; it holds 100 actions, and some are for the rest."""

SOURCES_AT_ONCE = 2_500
"""Rows of an hour that one transaction adds up at most: a bound of its memory where nearly all of them are `other`."""


@dataclass(slots=True)
class PeriodRows:
    """The rows by dimensions that a day or a month has."""

    names: set[str]
    """Without `other`."""

    def take(self, name: str) -> bool:
        """Return whether these dimensions have a row of their own, which is added if there is room for it."""
        if name in self.names:
            return True
        if len(self.names) >= MAX_ROWS_PER_PERIOD:
            return False
        self.names.add(name)
        return True


@dataclass(slots=True)
class Addition:
    """What one transaction adds to a day, or to a month."""

    rows_before: int
    """How many rows there were without it, not counting `other`."""
    rows_after: int
    amounts: dict[Dimensions, Amounts] = field(default_factory=dict[Dimensions, Amounts])

    def add(self, dimensions: Dimensions, amounts: Amounts, *, rows: int) -> None:
        """Add to a row; `rows` is how many rows there are with it."""
        self.amounts[dimensions] = self.amounts.get(dimensions, Amounts()).plus(amounts)
        self.rows_after = rows


@dataclass(slots=True)
class Batch:
    """What one transaction adds to a day and its month."""

    day: Addition
    month: Addition
    last: str = ""
    """The name of the last row of the hour that is in it."""
    sources: int = 0
    """How many rows of the hour are in it."""

    @property
    def is_full(self) -> bool:
        """Whether the next row of the hour belongs into another transaction."""
        return len(self.day.amounts) + len(self.month.amounts) > ROWS_AT_ONCE - 2 or self.sources >= SOURCES_AT_ONCE


@dataclass(frozen=True, slots=True)
class RollUp:
    """The rows of the day and of the month that an hour is rolled up into."""

    day: PeriodRows
    month: PeriodRows

    @classmethod
    def empty(cls) -> "RollUp":
        """Return the rows of a day and month without any."""
        return cls(PeriodRows(set()), PeriodRows(set()))

    def batches(self, rows: Iterable[tuple[str, Dimensions, Amounts]]) -> Iterator[Batch]:
        """Distribute the rows of an hour, in their order, over batches of which only the last may be empty.

        What is `other` in the day is so in the month too, so a month is always the sum of its days.
        """
        batch = self._empty()
        for name, dimensions, amounts in rows:
            if batch.is_full:
                yield batch
                batch = self._empty()
            in_day = dimensions if dimensions == OTHER or self.day.take(name) else OTHER
            in_month = in_day if in_day == OTHER or self.month.take(name) else OTHER
            batch.day.add(in_day, amounts, rows=len(self.day.names))
            batch.month.add(in_month, amounts, rows=len(self.month.names))
            batch.last, batch.sources = name, batch.sources + 1
        yield batch

    def _empty(self) -> Batch:
        day, month = len(self.day.names), len(self.month.names)
        return Batch(Addition(day, day), Addition(month, month))


def fold(expected: Mapping[Dimensions, Amounts], stored: set[Dimensions]) -> dict[Dimensions, Amounts]:
    """Add what has no row of its own in a day or month to `other`, if that day or month can have no more rows."""
    if len(stored - {OTHER}) < MAX_ROWS_PER_PERIOD:
        return dict(expected)
    folded: dict[Dimensions, Amounts] = {}
    for dimensions, amounts in expected.items():
        row = dimensions if dimensions in stored else OTHER
        folded[row] = folded.get(row, Amounts()).plus(amounts)
    return folded
