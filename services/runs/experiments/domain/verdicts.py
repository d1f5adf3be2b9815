"""Verdicts: what the scores of a variant prove about its difference to the baseline."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

from services.runs.experiments.domain.settings import Stopping, Verdict, VerdictSettings
from services.runs.experiments.domain.statistics.hypotheses import holm, mcnemar_exact, sign_flip_test
from services.runs.experiments.domain.statistics.intervals import (
    Interval,
    mean,
    paired_differences,
    paired_interval,
    t_interval,
    variance,
)
from services.runs.experiments.domain.statistics.power import needed_items
from services.runs.experiments.domain.statistics.sequences import difference_sequence

MAX_ERROR_RATE = 0.05
"""With more errors among its trials, a comparison is inconclusive, whatever its scores are."""
MIN_ITEMS = 2
_MAX_NEEDED_ITEMS = 1_000_000


@dataclass(frozen=True, slots=True)
class Comparison:
    """The scores of a variant and of the baseline by one scorer, item by item."""

    variant: str
    scorer: str
    scores: Mapping[str, Sequence[float]]
    """By item, one score for each repetition."""
    baseline: Mapping[str, Sequence[float]]
    """Its order is that in which the trials were scheduled, which is independent of their results."""
    trials: int
    errors: int
    """The trials of both that have no score."""
    primary: bool = True

    @property
    def is_pass_or_fail(self) -> bool:
        """Whether every score is 0 or 1."""
        return all(
            score in {0.0, 1.0} for side in (self.scores, self.baseline) for row in side.values() for score in row
        )

    @property
    def repetitions(self) -> int:
        """The largest number of scores of an item."""
        return max((len(row) for side in (self.scores, self.baseline) for row in side.values()), default=1)


@dataclass(frozen=True, slots=True)
class Result:
    """A verdict with the numbers that it is based on."""

    variant: str
    scorer: str
    verdict: Verdict
    difference: float | None
    """The mean difference to the baseline; None without a common item."""
    interval: Interval | None
    p_value: float | None
    """Adjusted for the number of comparisons; None for a sequential experiment, whose interval decides."""
    items: int
    needed_items: int | None = None
    """For an inconclusive verdict, the number of items in all that would probably decide."""


def decide(comparisons: Sequence[Comparison], settings: VerdictSettings) -> list[Result]:
    """Return the verdicts of an experiment.

    The probability of any false verdict about the primary scorers is at most 1 - confidence in all: tests by Holm's
    method, intervals at the level that Bonferroni's inequality gives each of them. Other scorers are described alike,
    without an adjustment for their number.
    """
    primary = [comparison for comparison in comparisons if comparison.primary]
    family = max(1, len(primary))
    adjusted = dict(zip(map(id, primary), holm([_p_value(one, settings) for one in primary]), strict=True))
    results = list[Result]()
    for comparison in comparisons:
        level = 1 - (1 - settings.confidence) / (family if comparison.primary else 1)
        p_value = adjusted.get(id(comparison), 1.0) if comparison.primary else _p_value(comparison, settings)
        results.append(_result(comparison, settings, level=level, p_value=p_value))
    return results


def _differences(comparison: Comparison) -> list[float]:
    return list(paired_differences(comparison.scores, comparison.baseline).values())


def _p_value(comparison: Comparison, settings: VerdictSettings) -> float:
    differences = _differences(comparison)
    if settings.stopping is Stopping.SEQUENTIAL or len(differences) < MIN_ITEMS:
        return 1.0
    if comparison.is_pass_or_fail and comparison.repetitions == 1:
        return mcnemar_exact(sum(one > 0 for one in differences), sum(one < 0 for one in differences))
    return sign_flip_test(differences, seed=settings.seed)


def _result(comparison: Comparison, settings: VerdictSettings, *, level: float, p_value: float) -> Result:
    differences = _differences(comparison)
    if len(differences) < MIN_ITEMS:
        return Result(comparison.variant, comparison.scorer, Verdict.INCONCLUSIVE, None, None, None, len(differences))
    interval = _interval(comparison, differences, settings, level=level)
    is_sequential = settings.stopping is Stopping.SEQUENTIAL
    differs = is_sequential or p_value <= 1 - settings.confidence
    verdict = verdict_of(interval, minimum_effect=settings.minimum_effect, differs=differs)
    if comparison.errors > MAX_ERROR_RATE * comparison.trials:
        verdict = Verdict.INCONCLUSIVE
    return Result(
        comparison.variant,
        comparison.scorer,
        verdict,
        mean(differences),
        interval,
        None if is_sequential else p_value,
        len(differences),
        _needed(differences, settings, level=level) if verdict is Verdict.INCONCLUSIVE else None,
    )


def _interval(
    comparison: Comparison, differences: Sequence[float], settings: VerdictSettings, *, level: float
) -> Interval:
    if settings.stopping is Stopping.SEQUENTIAL:
        return difference_sequence(differences, confidence=level)
    if comparison.is_pass_or_fail or variance(differences) == 0:
        return paired_interval(differences, step=1 / comparison.repetitions, confidence=level)
    return t_interval(differences, confidence=level).clipped(-1, 1)


def verdict_of(interval: Interval, *, minimum_effect: float, differs: bool = True) -> Verdict:
    """Return the verdict of an interval.

    A difference that is certainly smaller than the minimum effect is none, even if it is certainly not 0.

    Args:
        interval: the interval of the difference.
        minimum_effect: the smallest difference that matters.
        differs: whether a test, if there is one, finds a difference.
    """
    if -minimum_effect < interval.low and interval.high < minimum_effect:
        return Verdict.EQUIVALENT
    if differs and interval.low > 0:
        return Verdict.BETTER
    if differs and interval.high < 0:
        return Verdict.WORSE
    return Verdict.INCONCLUSIVE


def _needed(differences: Sequence[float], settings: VerdictSettings, *, level: float) -> int | None:
    """Return how many items would probably decide: those that prove equivalence or find the minimum effect."""
    spread = sqrt(max(variance(differences), 1 / len(differences)))
    distance = max(abs(abs(mean(differences)) - settings.minimum_effect), abs(mean(differences)), 1e-9)
    needed = needed_items(distance, spread, confidence=level)
    return min(max(needed, len(differences) + 1), _MAX_NEEDED_ITEMS)
