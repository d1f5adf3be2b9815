"""Intervals for rates and means at a fixed number of observations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import fsum, inf, sqrt

from services.runs.experiments.domain.statistics.distributions import normal_quantile, t_quantile


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval, both bounds included."""

    low: float
    high: float

    def clipped(self, low: float, high: float) -> "Interval":
        """Return the part of it between these bounds, which the parameter cannot exceed."""
        return Interval(min(max(self.low, low), high), max(min(self.high, high), low))


def mean(values: Sequence[float]) -> float:
    """Return the arithmetic mean, without rounding errors of the sum."""
    return fsum(values) / len(values)


def variance(values: Sequence[float]) -> float:
    """Return the unbiased sample variance; 0 for a single value."""
    if len(values) < 2:
        return 0.0
    center = mean(values)
    return fsum((value - center) ** 2 for value in values) / (len(values) - 1)


def wilson_interval(successes: float, trials: int, *, confidence: float) -> Interval:
    """Return the score interval of a rate.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927). Unlike the
    normal interval it keeps its coverage near 0 and 1 (Brown, Cai and DasGupta, Statistical Science 16, 2001).
    """
    if trials == 0:
        return Interval(0.0, 1.0)
    z = normal_quantile((1 + confidence) / 2)
    rate, shrink = successes / trials, 1 + z * z / trials
    center = (rate + z * z / (2 * trials)) / shrink
    margin = z / shrink * sqrt(rate * (1 - rate) / trials + z * z / (4 * trials * trials))
    # At the extremes the bound is exact; the sum of the two terms is so only up to rounding.
    low = 0.0 if successes == 0 else center - margin
    high = 1.0 if successes == trials else center + margin
    return Interval(low, high)


def t_interval(values: Sequence[float], *, confidence: float) -> Interval:
    """Return the interval of a mean by Student's t distribution ("Student", Biometrika 6, 1908).

    With fewer than two values nothing is known about their spread, so the interval is infinite.
    """
    if len(values) < 2:
        return Interval(-inf, inf)
    center, error = mean(values), sqrt(variance(values) / len(values))
    margin = t_quantile((1 + confidence) / 2, len(values) - 1) * error
    return Interval(center - margin, center + margin)


def paired_interval(differences: Sequence[float], *, step: float, confidence: float) -> Interval:
    """Return the interval of a mean difference of pass rates, adjusted for few items that differ.

    D. G. Bonett and R. M. Price, "Adjusted Wald confidence interval for a difference of binomial proportions based on
    paired data", Journal of Educational and Behavioral Statistics 37 (2012): one item more of each kind that differs.
    Without it, items that never differ would prove that no item ever does. With repetitions, the added items differ in
    one of them.

    Args:
        differences: one for each item, between -1 and 1.
        step: the smallest difference that an item can have, 1 / repetitions.
        confidence: the probability with which the interval contains the mean.
    """
    values = [*differences, step, -step]
    center, count = mean(values), len(values)
    spread = fsum(value * value for value in values) / count - center * center
    margin = normal_quantile((1 + confidence) / 2) * sqrt(max(spread, 0) / count)
    return Interval(center - margin, center + margin).clipped(-1, 1)


def paired_differences(
    variant: Mapping[str, Sequence[float]], baseline: Mapping[str, Sequence[float]]
) -> dict[str, float]:
    """Return one difference for each item that both have: the mean of the variant minus that of the baseline.

    Repetitions of an item are not independent. The item is the cluster, and with one value for each cluster the usual
    formulas are those of clustered standard errors (E. Miller, "Adding error bars to evals", 2024, section 3.2 and 4).
    """
    return {item: mean(variant[item]) - mean(baseline[item]) for item in baseline if item in variant}
