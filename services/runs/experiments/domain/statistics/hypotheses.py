"""Tests of the hypothesis that two variants do not differ."""

import hashlib
from collections.abc import Iterator, Sequence
from itertools import product
from math import fsum

from services.runs.experiments.domain.statistics.distributions import binomial_tail

PERMUTATIONS = 9_999
_MAX_EXACT = 13
"""The number of differences up to which all signs are enumerated: 8,192 of them."""
_TOLERANCE = 1e-12
"""Sums of the same differences in another order may differ by rounding."""


def mcnemar_exact(improved: int, worsened: int) -> float:
    """Return the two-sided p-value of the exact McNemar test, of the items on which only one variant passes.

    Q. McNemar, Psychometrika 12 (1947); exact as a sign test by the binomial distribution.
    """
    discordant = improved + worsened
    if discordant == 0:
        return 1.0
    return min(1.0, 2 * binomial_tail(min(improved, worsened), discordant))


def sign_flip_test(differences: Sequence[float], *, seed: int) -> float:
    """Return the two-sided p-value of the sign-flip permutation test of a mean difference of 0.

    R. A. Fisher, "The Design of Experiments" (1935), section 21. For more than 13 differences that are not 0, the signs
    are sampled, and the observed ones are counted among the samples, so that the test keeps its level (B. Phipson and
    G. K. Smyth, "Permutation p-values should never be zero", 2010).

    Args:
        differences: one for each item.
        seed: of the sampled signs.
    """
    values = [abs(value) for value in differences if value]
    observed = abs(fsum(differences)) - _TOLERANCE
    if not values:
        return 1.0
    if len(values) <= _MAX_EXACT:
        signs = product((1, -1), repeat=len(values))
        extreme = [abs(fsum(map(_times, values, flips))) >= observed for flips in signs]
        return sum(extreme) / len(extreme)
    return (1 + _sampled_extremes(values, observed, seed=seed)) / (1 + PERMUTATIONS)


def _sampled_extremes(values: Sequence[float], observed: float, *, seed: int) -> int:
    size = len(values)
    if len(set(values)) == 1:
        # The sum of equal values depends only on the number of signs.
        counts = (bits.bit_count() for bits in _sampled_signs(size, seed=seed))
        return sum(abs(size - 2 * count) * values[0] >= observed for count in counts)
    return sum(abs(_flipped_sum(values, bits)) >= observed for bits in _sampled_signs(size, seed=seed))


def _sampled_signs(size: int, *, seed: int) -> Iterator[int]:
    """Yield numbers of `size` bits that depend on the seed alone, each bit being one sign (SHAKE256, FIPS 202)."""
    width = (size + 7) // 8
    stream = hashlib.shake_256(f"{seed}:{size}".encode()).digest(PERMUTATIONS * width)
    for start in range(0, len(stream), width):
        yield int.from_bytes(stream[start : start + width]) >> (8 * width - size)


def _flipped_sum(values: Sequence[float], bits: int) -> float:
    total = 0.0
    for value in values:
        total += value if bits & 1 else -value
        bits >>= 1
    return total


def _times(value: float, sign: int) -> float:
    return value * sign


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the adjusted p-values of several tests, in their order.

    S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6 (1979).
    """
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted
