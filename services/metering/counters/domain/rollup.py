"""Roll-ups: adding the rows of a closed hour to the rows of its day and month, a bounded number per transaction."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from services.metering.counters.domain.amounts import OTHER, Amounts, Dimensions

MAX_ROWS_PER_PERIOD = 1_000
"""The limit of rows by dimension in a day, and in a month. Further combinations are counted in the row `other`, which
does not count toward the limit. No row is ever removed, so a combination is either always in its own row of a day or
month, or always in `other`. A new value of this limit must not apply to days and months that already have usage."""

MAX_ROWS_PER_TRANSACTION = 80
"""The limit of day and month rows that one transaction changes. It has at most 100 actions, some of which it needs for
other items."""

MAX_SOURCES_PER_TRANSACTION = 2_500
"""The limit of hour rows that one transaction adds up. It bounds memory if nearly all of them are counted in
`other`."""


@dataclass(slots=True)
class PeriodRows:
    """The rows by dimension of a day or a month."""

    names: set[str]
    """The names of the rows, except `other`."""

    def claim(self, name: str) -> bool:
        """Return whether this combination has its own row, and add the row if there is room for it."""
        if name in self.names:
            return True
        if len(self.names) >= MAX_ROWS_PER_PERIOD:
            return False
        self.names.add(name)
        return True


@dataclass(slots=True)
class PeriodIncrement:
    """The amounts that one transaction adds to a day or to a month."""

    rows_before: int
    """The number of rows before this transaction, except `other`."""
    rows_after: int
    amounts: dict[Dimensions, Amounts] = field(default_factory=dict[Dimensions, Amounts])

    def add(self, dimensions: Dimensions, amounts: Amounts, *, rows: int) -> None:
        """Add amounts to a row. `rows` is the number of rows including it."""
        self.amounts[dimensions] = self.amounts.get(dimensions, Amounts()).plus(amounts)
        self.rows_after = rows


@dataclass(slots=True)
class RollUpBatch:
    """The amounts that one transaction adds to a day and its month."""

    day: PeriodIncrement
    month: PeriodIncrement
    last: str = ""
    """The name of the last hour row in this batch."""
    sources: int = 0
    """The number of hour rows in this batch."""

    @property
    def is_full(self) -> bool:
        """Whether the next hour row belongs in another transaction."""
        return (
            len(self.day.amounts) + len(self.month.amounts) > MAX_ROWS_PER_TRANSACTION - 2
            or self.sources >= MAX_SOURCES_PER_TRANSACTION
        )


@dataclass(frozen=True, slots=True)
class RollUp:
    """The rows of the day and the month into which an hour is rolled up."""

    day: PeriodRows
    month: PeriodRows

    @classmethod
    def empty(cls) -> "RollUp":
        """Return a roll-up into a day and a month without rows."""
        return cls(PeriodRows(set()), PeriodRows(set()))

    def batches(self, rows: Iterable[tuple[str, Dimensions, Amounts]]) -> Iterator[RollUpBatch]:
        """Distribute the rows of an hour, in their order, over batches. Only the last batch may be empty.

        Usage that is counted in `other` of the day is also counted in `other` of the month, so a month is always the
        sum of its days.
        """
        batch = self._empty()
        for name, dimensions, amounts in rows:
            if batch.is_full:
                yield batch
                batch = self._empty()
            in_day = dimensions if dimensions == OTHER or self.day.claim(name) else OTHER
            in_month = in_day if in_day == OTHER or self.month.claim(name) else OTHER
            batch.day.add(in_day, amounts, rows=len(self.day.names))
            batch.month.add(in_month, amounts, rows=len(self.month.names))
            batch.last, batch.sources = name, batch.sources + 1
        yield batch

    def _empty(self) -> RollUpBatch:
        day, month = len(self.day.names), len(self.month.names)
        return RollUpBatch(PeriodIncrement(day, day), PeriodIncrement(month, month))


def fold_into_other(expected: Mapping[Dimensions, Amounts], stored: set[Dimensions]) -> dict[Dimensions, Amounts]:
    """Add combinations without a row of their own to `other`, if the day or month cannot have more rows."""
    if len(stored - {OTHER}) < MAX_ROWS_PER_PERIOD:
        return dict(expected)
    folded: dict[Dimensions, Amounts] = {}
    for dimensions, amounts in expected.items():
        row = dimensions if dimensions in stored else OTHER
        folded[row] = folded.get(row, Amounts()).plus(amounts)
    return folded
