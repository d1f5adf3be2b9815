"""How long things took: few numbers that can be added up, and from which percentiles follow.

Durations are counted in buckets: below 16 ms one for each millisecond, and from there on eight of equal width for each
octave, that is from a power of two to the next. So a percentile is wrong by at most a sixteenth of itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import accumulate

_FINENESS = 3
_PARTS = 1 << _FINENESS
"""Of an octave."""


@dataclass(frozen=True, slots=True)
class Durations:
    """Durations of many things."""

    total_ms: int = 0
    counts: Mapping[int, int] = field(default_factory=dict[int, int])
    """By bucket, how many."""

    @classmethod
    def of(cls, duration_ms: int) -> "Durations":
        """One of them."""
        return cls(duration_ms, {bucket_of(duration_ms): 1})

    def plus(self, other: "Durations") -> "Durations":
        """Both together."""
        counts = dict(self.counts)
        for bucket, count in other.counts.items():
            counts[bucket] = counts.get(bucket, 0) + count
        return Durations(self.total_ms + other.total_ms, counts)

    @property
    def number(self) -> int:
        """How many."""
        return sum(self.counts.values())

    @property
    def mean_ms(self) -> int:
        """The average; there must be one."""
        return self.total_ms // self.number

    def percentile_ms(self, percent: int) -> int:
        """The duration that so many percent do not exceed; there must be one."""
        rank = -(-self.number * percent // 100)
        buckets = sorted(self.counts)
        below = accumulate(self.counts[bucket] for bucket in buckets)
        return next(middle_of(bucket) for bucket, reached in zip(buckets, below, strict=True) if reached >= rank)


def bucket_of(duration_ms: int) -> int:
    """The bucket of a duration of at least 0."""
    shift = max(0, duration_ms.bit_length() - _FINENESS - 1)
    return shift * _PARTS + (duration_ms >> shift)


def middle_of(bucket: int) -> int:
    """The duration that stands for all of a bucket."""
    shift = max(0, bucket // _PARTS - 1)
    return ((bucket - shift * _PARTS) << shift) + ((1 << shift) - 1) // 2
