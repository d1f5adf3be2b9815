"""Counts of meters that the demo compares."""

from collections.abc import Mapping, Sequence
from typing import Any

from shared.meters import OF_CALLS, Meter

OF_RUN = tuple(meter for meter in OF_CALLS if meter is not Meter.REQUESTS)
"""The meters in the usage of a run."""

OF_LEDGER = OF_CALLS
"""The meters in the ledger and the counters."""

Item = Mapping[str, Any]
"""An item in DynamoDB's own form."""
Counts = dict[str, int]


def counts_of(meters: Mapping[str, Any], names: Sequence[str] = OF_RUN) -> Counts:
    """Return the counts of the named meters; a missing one is 0."""
    return {name: int(meters.get(name) or 0) for name in names}


def counts_of_item(item: Item, names: Sequence[str] = OF_RUN) -> Counts:
    """Return the counts of the named meters in an item."""
    return counts_of({name: item.get(name, {}).get("N", 0) for name in names}, names)


def sum_of(counts: Sequence[Counts]) -> Counts:
    """Return the sum of counts of the same meters; empty if there are none."""
    return {name: sum(count[name] for count in counts) for name in (counts[0] if counts else ())}


def format_counts(counts: Counts) -> str:
    """Return the counts on one line, without those that are 0."""
    return ", ".join(f"{name} {count}" for name, count in counts.items() if count) or "nothing"
