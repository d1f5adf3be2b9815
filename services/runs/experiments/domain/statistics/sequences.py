"""Confidence sequences: intervals that hold at all times together, so that looking early is allowed."""

from collections.abc import Iterable
from math import log, log1p, sqrt

from services.runs.experiments.domain.statistics.intervals import Interval

_CAP = 0.5
"""The maximum of the predictable weights (`c` in the source)."""


class ConfidenceSequence:
    """The empirical-Bernstein confidence sequence of a mean of values in [0, 1].

    I. Waudby-Smith and A. Ramdas, "Estimating means of bounded random variables by betting", JRSS B 86 (2024),
    theorem 2: with probability `confidence`, the mean is in the interval after every value. Values may depend on the
    earlier ones, as long as their conditional mean is the same. The intervals are intersected, as the theorem allows.

    Args:
        confidence: the probability with which all intervals together contain the mean.
    """

    def __init__(self, confidence: float) -> None:
        self._log_term = log(2 / (1 - confidence))
        self._weights = self._weighted = self._deviations = 0.0
        self._count = 0
        self._sum, self._squares = 0.5, 0.25
        self.interval = Interval(0.0, 1.0)

    @property
    def count(self) -> int:
        """The number of values so far."""
        return self._count

    def add(self, value: float) -> Interval:
        """Add a value and return the interval."""
        # The mean and the variance before this value, regularized by one value of 1/2 with variance 1/4.
        seen = self._count + 1
        before, spread = self._sum / seen, self._squares / seen
        weight = min(_CAP, sqrt(2 * self._log_term / (spread * seen * log1p(seen))))
        self._weights += weight
        self._weighted += weight * value
        self._deviations += 4 * (value - before) ** 2 * _psi(weight)
        self._count += 1
        self._sum += value
        self._squares += (value - self._sum / (self._count + 1)) ** 2
        center = self._weighted / self._weights
        margin = (self._log_term + self._deviations) / self._weights
        low, high = max(self.interval.low, center - margin), min(self.interval.high, center + margin)
        # The intervals may exclude each other, with probability 1 - confidence; then the last common point remains.
        self.interval = Interval(low, high) if low <= high else self.interval
        return self.interval


def _psi(weight: float) -> float:
    """Return psi_E of the source, (-log(1 - w) - w) / 4."""
    return (-log1p(-weight) - weight) / 4


def confidence_sequence(values: Iterable[float], *, confidence: float) -> Interval:
    """Return the interval of a mean of values in [0, 1] after all of them, see `ConfidenceSequence`."""
    sequence = ConfidenceSequence(confidence)
    for value in values:
        sequence.add(value)
    return sequence.interval


def difference_sequence(differences: Iterable[float], *, confidence: float) -> Interval:
    """Return the interval of a mean difference of scores. Differences in [-1, 1] are mapped to [0, 1] and back."""
    inner = confidence_sequence(((difference + 1) / 2 for difference in differences), confidence=confidence)
    return Interval(2 * inner.low - 1, 2 * inner.high - 1)
