"""Drift: differences between two records of the same usage.

Each service compares its own records. The command line compares the records of two services, because it can read both.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from shared.meters import Meters

_MARKS = 2**64


@dataclass(frozen=True, slots=True)
class Drift:
    """A number that differs from its expected value."""

    place: str
    """The record that holds the number, for example `day`."""
    at: str
    """The hour, day, month or call that the number belongs to."""
    meter: str
    """The meter, or `events` or `cost_nano_usd`."""
    expected: int
    """The value in the authoritative record."""
    found: int
    subject: str | None = None
    """A further dimension by which the numbers are grouped."""

    @property
    def excess(self) -> int:
        """The amount above the expected value; negative if it is below."""
        return self.found - self.expected


def drift_between(
    expected: Mapping[str, int], found: Mapping[str, int], *, place: str, at: str, subject: str | None = None
) -> Iterator[Drift]:
    """Yield the differences between two sets of numbers. A missing number counts as 0."""
    for meter in sorted({*expected, *found}):
        wanted, there = expected.get(meter, 0), found.get(meter, 0)
        if wanted != there:
            yield Drift(place, at, meter, wanted, there, subject)


@dataclass(frozen=True, slots=True)
class Tally:
    """A number of calls, and a checksum that is equal for the same calls in any order, and for no others."""

    calls: int = 0
    mark: int = 0

    def plus(self, other: "Tally") -> "Tally":
        """Return the tally of both sets of calls."""
        return Tally(self.calls + other.calls, (self.mark + other.mark) % _MARKS)


def tally_of_call(event_id: str, meters: Meters) -> Tally:
    """Return the tally of one call, from the id of its usage event and its usage."""
    used = sorted((meter.value, amount) for meter, amount in meters.items() if amount)
    digest = hashlib.sha256(repr((event_id, used)).encode()).digest()
    return Tally(1, int.from_bytes(digest[:8]))


_SPAN = 6
"""The leading characters of a ULID that identify a span of about 17 minutes."""


def span_of_run(run_id: str) -> str:
    """Return the time span in which a run was created, as the common prefix of the ids of all runs of that span."""
    prefix, _, ulid = run_id.partition("_")
    return f"{prefix}_{ulid[:_SPAN]}"


def tallies_by_span(tallies: Iterable[tuple[str, Tally]]) -> dict[str, Tally]:
    """Return the sums of tallies, given with their run ids, by the time span in which the run was created."""
    added: dict[str, Tally] = {}
    for run_id, tally in tallies:
        span = span_of_run(run_id)
        added[span] = added.get(span, Tally()).plus(tally)
    return added
