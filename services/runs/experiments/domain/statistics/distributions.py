"""Distributions that the tests and intervals need: normal, Student's t and binomial."""

from math import comb, exp, inf, lgamma, log, log1p
from statistics import NormalDist

_NORMAL = NormalDist()
_EPSILON = 3e-16
_TINY = 1e-300
_MAX_TERMS = 500


def normal_quantile(probability: float) -> float:
    """Return the quantile of the standard normal distribution (Wichura, AS 241, in the standard library)."""
    return _NORMAL.inv_cdf(probability)


def normal_cdf(value: float) -> float:
    """Return the distribution function of the standard normal distribution."""
    return _NORMAL.cdf(value)


def incomplete_beta(a: float, b: float, x: float) -> float:
    """Return the regularized incomplete beta function, by its continued fraction (DLMF 8.17.22, Lentz's method)."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - incomplete_beta(b, a, 1 - x)
    front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x)) / a
    return front * _continued_fraction(a, b, x)


def _continued_fraction(a: float, b: float, x: float) -> float:
    c, d = 1.0, 1 / _away_from_zero(1 - (a + b) * x / (a + 1))
    result = d
    for m in range(1, _MAX_TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1 / _away_from_zero(1 + term * d)
            c = _away_from_zero(1 + term / c)
            result *= d * c
        if abs(d * c - 1) < _EPSILON:
            break
    return result


def _away_from_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def t_cdf(value: float, degrees: float) -> float:
    """Return the distribution function of Student's t distribution (DLMF 8.17, Abramowitz and Stegun 26.7.1)."""
    tail = incomplete_beta(degrees / 2, 0.5, degrees / (degrees + value * value)) / 2
    return 1 - tail if value > 0 else tail


def t_quantile(probability: float, degrees: float) -> float:
    """Return the quantile of Student's t distribution, by bisection of its distribution function."""
    if probability < 0.5:
        return -t_quantile(1 - probability, degrees)
    low, high = 0.0, 2.0
    while t_cdf(high, degrees) < probability:
        low, high = high, high * 2
        if high == inf:
            return high
    for _ in range(200):
        middle = (low + high) / 2
        if middle in {low, high}:
            break
        low, high = (middle, high) if t_cdf(middle, degrees) < probability else (low, middle)
    return (low + high) / 2


def binomial_tail(successes: int, trials: int) -> float:
    """Return the probability of at most this many successes in trials of probability one half, exactly."""
    return sum(comb(trials, k) for k in range(successes + 1)) / 2**trials
