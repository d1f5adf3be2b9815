"""Power: the effect that a number of items can find, and the items that an effect needs."""

from math import ceil, inf, sqrt

from services.runs.experiments.domain.statistics.distributions import normal_cdf, normal_quantile

DEFAULT_POWER = 0.8


def detectable_effect(items: int, deviation: float, *, confidence: float, power: float = DEFAULT_POWER) -> float:
    """Return the smallest mean difference that a two-sided test of paired differences finds with this power.

    The normal approximation, (z_confidence + z_power) * deviation / sqrt(items); for example W. G. Cochran,
    "Planning and Analysis of Observational Studies" (1983), or E. Miller, "Adding error bars to evals" (2024), section
    5.

    Args:
        items: the number of items.
        deviation: the standard deviation of the differences between items.
        confidence: of the test.
        power: the probability with which the effect is found.
    """
    if items < 1:
        return inf
    return (normal_quantile((1 + confidence) / 2) + normal_quantile(power)) * deviation / sqrt(items)


def needed_items(effect: float, deviation: float, *, confidence: float, power: float = DEFAULT_POWER) -> int:
    """Return the number of items with which this effect is found with this power, see `detectable_effect`."""
    z = normal_quantile((1 + confidence) / 2) + normal_quantile(power)
    return max(2, ceil((z * deviation / effect) ** 2))


def power_of(effect: float, items: int, deviation: float, *, confidence: float) -> float:
    """Return the probability with which a two-sided normal test of paired differences finds this effect."""
    if deviation == 0:
        return float(effect != 0)
    shift, z = abs(effect) * sqrt(items) / deviation, normal_quantile((1 + confidence) / 2)
    return normal_cdf(shift - z) + normal_cdf(-shift - z)
