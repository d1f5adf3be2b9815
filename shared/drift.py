"""Drift: where two accounts of the same usage do not say the same.

Each service compares what it keeps itself; what two services say is compared by who asks both (the command line).
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from shared.meters import Meters

_MARKS = 2**64


@dataclass(frozen=True, slots=True)
class Drift:
    """One number that is not what it should be."""

    place: str
    """Where it stands, for example `day`."""
    at: str
    """Of which hour, day, month or call."""
    meter: str
    """Or `events`, `cost_nano_usd`."""
    expected: int
    """By the account that is believed."""
    found: int
    subject: str | None = None
    """What else it is broken down by."""

    @property
    def excess(self) -> int:
        """How much too much there is; negative: too little."""
        return self.found - self.expected


def drift_between(
    expected: Mapping[str, int], found: Mapping[str, int], *, place: str, at: str, subject: str | None = None
) -> Iterator[Drift]:
    """Where these numbers differ; a number that is missing is 0."""
    for meter in sorted({*expected, *found}):
        wanted, there = expected.get(meter, 0), found.get(meter, 0)
        if wanted != there:
            yield Drift(place, at, meter, wanted, there, subject)


@dataclass(frozen=True, slots=True)
class Tally:
    """How many calls, and a mark that is the same for the same calls in any order, and for no others."""

    calls: int = 0
    mark: int = 0

    def plus(self, other: "Tally") -> "Tally":
        """Both together."""
        return Tally(self.calls + other.calls, (self.mark + other.mark) % _MARKS)


def tally_of_call(event_id: str, meters: Meters) -> Tally:
    """The tally of one call: its usage event, and what it used."""
    used = sorted((meter.value, amount) for meter, amount in meters.items() if amount)
    digest = hashlib.sha256(repr((event_id, used)).encode()).digest()
    return Tally(1, int.from_bytes(digest[:8]))


_SPAN = 6
"""So many characters of a ULID leave some 17 minutes open."""


def span_of_run(run_id: str) -> str:
    """The stretch of time in which a run was made, as the beginning of the ids of all runs of that time."""
    prefix, _, ulid = run_id.partition("_")
    return f"{prefix}_{ulid[:_SPAN]}"


def tallies_by_span(tallies: Iterable[tuple[str, Tally]]) -> dict[str, Tally]:
    """Tallies of calls, each with its run, added up by the time in which the run was made."""
    added: dict[str, Tally] = {}
    for run_id, tally in tallies:
        span = span_of_run(run_id)
        added[span] = added.get(span, Tally()).plus(tally)
    return added
