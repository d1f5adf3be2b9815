"""Tests of the hypothesis that two variants do not differ."""

from collections.abc import Sequence
from itertools import product
from math import fsum
from random import Random

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
    return (1 + _sampled_extremes(values, observed, Random(seed))) / (1 + PERMUTATIONS)  # noqa: S311 — no secret


def _sampled_extremes(values: Sequence[float], observed: float, random: Random) -> int:
    if len(set(values)) == 1:
        # The sum of equal values depends only on the number of signs, which the bits of one number have.
        size, step = len(values), values[0]
        counts = (random.getrandbits(size).bit_count() for _ in range(PERMUTATIONS))
        return sum(abs(size - 2 * count) * step >= observed for count in counts)
    return sum(abs(_flipped_sum(values, random.getrandbits(len(values)))) >= observed for _ in range(PERMUTATIONS))


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
