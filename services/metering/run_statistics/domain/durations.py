"""Histograms of durations, which can be added and which yield percentiles.

Durations below 16 ms have one bucket per millisecond. Above, each octave (from one power of two to the next) has eight
buckets of equal width. The error of a percentile is therefore at most one sixteenth of its value.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import accumulate

_PRECISION_BITS = 3
_BUCKETS_PER_OCTAVE = 1 << _PRECISION_BITS
"""Buckets per octave."""


@dataclass(frozen=True, slots=True)
class Durations:
    """A histogram of durations."""

    total_ms: int = 0
    counts: Mapping[int, int] = field(default_factory=dict[int, int])
    """The number of durations in each bucket."""

    @classmethod
    def of(cls, duration_ms: int) -> "Durations":
        """Return a histogram with one duration."""
        return cls(duration_ms, {bucket_of(duration_ms): 1})

    def plus(self, other: "Durations") -> "Durations":
        """Return the sum of both."""
        counts = dict(self.counts)
        for bucket, count in other.counts.items():
            counts[bucket] = counts.get(bucket, 0) + count
        return Durations(self.total_ms + other.total_ms, counts)

    @property
    def count(self) -> int:
        """The number of durations."""
        return sum(self.counts.values())

    @property
    def mean_ms(self) -> int:
        """The mean. The histogram must not be empty."""
        return self.total_ms // self.count

    def percentile_ms(self, percent: int) -> int:
        """Return the duration that this percentage does not exceed. The histogram must not be empty."""
        rank = -(-self.count * percent // 100)
        buckets = sorted(self.counts)
        below = accumulate(self.counts[bucket] for bucket in buckets)
        return next(midpoint_of(bucket) for bucket, reached in zip(buckets, below, strict=True) if reached >= rank)


def bucket_of(duration_ms: int) -> int:
    """Return the bucket of a duration, which must not be negative."""
    shift = max(0, duration_ms.bit_length() - _PRECISION_BITS - 1)
    return shift * _BUCKETS_PER_OCTAVE + (duration_ms >> shift)


def midpoint_of(bucket: int) -> int:
    """Return the duration that represents all durations in a bucket."""
    shift = max(0, bucket // _BUCKETS_PER_OCTAVE - 1)
    return ((bucket - shift * _BUCKETS_PER_OCTAVE) << shift) + ((1 << shift) - 1) // 2
