"""The statistics of experiments, compared with scipy and statsmodels."""

from importlib import import_module
from math import inf, sqrt
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.runs.experiments.domain.statistics.distributions import (
    binomial_tail,
    incomplete_beta,
    t_cdf,
    t_quantile,
)
from services.runs.experiments.domain.statistics.hypotheses import holm, mcnemar_exact, sign_flip_test
from services.runs.experiments.domain.statistics.intervals import (
    mean,
    paired_differences,
    paired_interval,
    t_interval,
    variance,
    wilson_interval,
)
from services.runs.experiments.domain.statistics.power import detectable_effect, needed_items, power_of
from services.runs.experiments.domain.statistics.sequences import ConfidenceSequence, difference_sequence

# The types of these packages are incomplete.
np: Any = import_module("numpy")
special: Any = import_module("scipy.special")
stats: Any = import_module("scipy.stats")
contingency_tables: Any = import_module("statsmodels.stats.contingency_tables")
multitest: Any = import_module("statsmodels.stats.multitest")
proportion: Any = import_module("statsmodels.stats.proportion")
NormalIndPower: Any = import_module("statsmodels.stats.power").NormalIndPower

properties = settings(deadline=None, max_examples=60)
"""The compared functions are slow at their first call."""
CONFIDENCES = st.sampled_from([0.5, 0.8, 0.9, 0.95, 0.99])


def close(value: float) -> object:
    """Return a value to compare with."""
    return pytest.approx(value, rel=1e-9, abs=1e-12)


class TestDistributions:
    @properties
    @given(st.floats(0.5, 5_000), st.floats(0.5, 500), st.floats(0, 1))
    def test_incomplete_beta(self, a: float, b: float, x: float) -> None:
        assert incomplete_beta(a, b, x) == pytest.approx(float(special.betainc(a, b, x)), rel=1e-8, abs=1e-10)

    @properties
    @given(st.floats(-50, 50), st.integers(1, 20_000))
    def test_t_cdf(self, value: float, degrees: int) -> None:
        assert t_cdf(value, degrees) == pytest.approx(float(stats.t.cdf(value, degrees)), rel=1e-7, abs=1e-10)

    @properties
    @given(st.floats(0.001, 0.999), st.integers(1, 20_000))
    def test_t_quantile(self, probability: float, degrees: int) -> None:
        expected = float(stats.t.ppf(probability, degrees))
        assert t_quantile(probability, degrees) == pytest.approx(expected, rel=1e-6, abs=1e-7)

    @properties
    @given(st.integers(0, 300), st.integers(0, 300))
    def test_binomial_tail(self, successes: int, more: int) -> None:
        trials = successes + more
        assert binomial_tail(successes, trials) == pytest.approx(float(stats.binom.cdf(successes, trials, 0.5)))


class TestIntervals:
    @properties
    @given(st.integers(1, 5_000), st.floats(0, 1), CONFIDENCES)
    def test_wilson(self, trials: int, share: float, confidence: float) -> None:
        successes = round(trials * share)
        low, high = proportion.proportion_confint(successes, trials, alpha=1 - confidence, method="wilson")
        found = wilson_interval(successes, trials, confidence=confidence)
        assert (found.low, found.high) == (close(float(low)), close(float(high)))
        other = stats.binomtest(successes, trials).proportion_ci(confidence, method="wilson")
        assert (found.low, found.high) == (close(float(other.low)), close(float(other.high)))

    def test_wilson_without_trials_is_everything(self) -> None:
        assert wilson_interval(0, 0, confidence=0.95).clipped(0, 1) == wilson_interval(0, 0, confidence=0.5)

    @properties
    @given(st.lists(st.floats(-1, 1), min_size=2, max_size=60), CONFIDENCES)
    def test_t(self, values: list[float], confidence: float) -> None:
        if variance(values) < 1e-12:
            return
        found = t_interval(values, confidence=confidence)
        expected = stats.ttest_1samp(values, 0).confidence_interval(confidence)
        assert found.low == pytest.approx(float(expected.low), rel=1e-6, abs=1e-9)
        assert found.high == pytest.approx(float(expected.high), rel=1e-6, abs=1e-9)

    def test_t_of_one_value_is_infinite(self) -> None:
        assert (t_interval([0.5], confidence=0.95).low, t_interval([0.5], confidence=0.95).high) == (-inf, inf)

    def test_paired_differences_are_clustered_by_item(self) -> None:
        """The interval of the items' means has the cluster-robust standard error of all trials."""
        random = Random(1)  # noqa: S311 — reproducible
        before = {str(item): [random.random() for _ in range(4)] for item in range(50)}
        after = {item: [score + random.gauss(0.1, 0.2) for score in row] for item, row in before.items()}
        differences = paired_differences(after, before)
        every = np.array([b - a for item in before for b, a in zip(after[item], before[item], strict=True)])
        groups = np.repeat(np.arange(50), 4)
        residuals = every - every.mean()
        sums = np.array([residuals[groups == group].sum() for group in range(50)])
        robust = sqrt(50 / 49 * float((sums**2).sum())) / len(every)
        assert sqrt(variance(list(differences.values())) / 50) == close(robust)
        assert mean(list(differences.values())) == close(float(every.mean()))

    def test_items_that_one_side_lacks_are_left_out(self) -> None:
        assert paired_differences({"a": [1.0], "b": [1.0]}, {"a": [0.0], "c": [1.0]}) == {"a": 1.0}

    @properties
    @given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 400), CONFIDENCES)
    def test_paired_is_that_of_bonett_and_price(self, better: int, worse: int, same: int, confidence: float) -> None:
        n = better + worse + same
        p12, p21 = (better + 1) / (n + 2), (worse + 1) / (n + 2)
        margin = float(stats.norm.ppf((1 + confidence) / 2)) * sqrt((p12 + p21 - (p12 - p21) ** 2) / (n + 2))
        found = paired_interval([1.0] * better + [-1.0] * worse + [0.0] * same, step=1.0, confidence=confidence)
        assert found.low == close(max(-1.0, p12 - p21 - margin))
        assert found.high == close(min(1.0, p12 - p21 + margin))


class TestHypotheses:
    @properties
    @given(st.integers(0, 200), st.integers(0, 200))
    def test_mcnemar(self, better: int, worse: int) -> None:
        expected = contingency_tables.mcnemar([[5, better], [worse, 5]], exact=True).pvalue
        assert mcnemar_exact(better, worse) == pytest.approx(min(1.0, float(expected)) if better + worse else 1.0)

    @properties
    @given(st.lists(st.sampled_from([-1.0, -0.5, -0.25, 0.0, 0.25, 0.5, 1.0]), min_size=2, max_size=10))
    def test_sign_flips_of_few_items_are_exact(self, differences: list[float]) -> None:
        expected = stats.permutation_test(
            (differences,), np.mean, permutation_type="samples", n_resamples=np.inf
        ).pvalue
        assert sign_flip_test(differences, seed=1) == close(float(expected))

    @pytest.mark.parametrize("spread", [0.0, 0.3])
    def test_sign_flips_of_many_items_are_sampled(self, spread: float) -> None:
        random = Random(3)  # noqa: S311 — reproducible
        differences = [random.choice([-1.0, 1.0, 1.0]) * (1 + random.gauss(0, spread)) for _ in range(60)]
        found = sign_flip_test(differences, seed=5)
        expected = stats.permutation_test(
            (differences,),
            np.mean,
            permutation_type="samples",
            n_resamples=20_000,
            rng=np.random.default_rng(1),
        ).pvalue
        assert found == pytest.approx(float(expected), abs=0.01)
        assert found == sign_flip_test(differences, seed=5)
        assert found > 0

    @properties
    @given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
    def test_holm(self, p_values: list[float]) -> None:
        expected = multitest.multipletests(p_values, method="holm")[1]
        assert holm(p_values) == [close(float(value)) for value in expected]


class TestConfidenceSequence:
    def test_is_that_of_the_paper(self) -> None:
        """The same numbers by the formulas of theorem 2 (and section B.1), in vectors."""
        values = np.array([Random(seed).random() ** 2 for seed in range(200)])  # noqa: S311 — reproducible
        alpha, t = 0.05, np.arange(1, 201)
        means = (0.5 + np.cumsum(values)) / (t + 1)
        spreads = (0.25 + np.cumsum((values - means) ** 2)) / (t + 1)
        before_mean, before_spread = np.append(0.5, means[:-1]), np.append(0.25, spreads[:-1])
        weights = np.minimum(0.5, np.sqrt(2 * np.log(2 / alpha) / (before_spread * t * np.log(t + 1))))
        psi = (-np.log(1 - weights) - weights) / 4
        center = np.cumsum(weights * values) / np.cumsum(weights)
        deviations = np.cumsum(4 * (values - before_mean) ** 2 * psi)
        margin = (np.log(2 / alpha) + deviations) / np.cumsum(weights)
        low = np.maximum.accumulate(np.maximum(center - margin, 0))
        high = np.minimum.accumulate(np.minimum(center + margin, 1))
        sequence = ConfidenceSequence(0.95)
        found = [sequence.add(float(value)) for value in values]
        assert [interval.low for interval in found] == pytest.approx(low.tolist())
        assert [interval.high for interval in found] == pytest.approx(high.tolist())
        assert sequence.count == 200

    def test_contains_the_mean_at_all_times(self) -> None:
        misses = 0
        for seed in range(300):
            random, sequence = Random(seed), ConfidenceSequence(0.9)  # noqa: S311 — reproducible
            intervals = [sequence.add(float(random.random() < 0.3)) for _ in range(200)]
            misses += not all(interval.low <= 0.3 <= interval.high for interval in intervals)
        assert misses / 300 <= 0.1

    def test_of_differences_is_between_their_bounds(self) -> None:
        assert difference_sequence([], confidence=0.95).low == -1
        found = difference_sequence([0.2] * 2_000, confidence=0.95)
        assert found.low < 0.2 < found.high
        assert found.high - found.low < 0.1


class TestPower:
    @properties
    @given(st.floats(0.01, 0.5), st.floats(0.05, 1), CONFIDENCES)
    def test_of_the_needed_items_is_the_asked_one(self, effect: float, deviation: float, confidence: float) -> None:
        items = needed_items(effect, deviation, confidence=confidence)
        assert power_of(effect, items, deviation, confidence=confidence) >= 0.8 - 1e-9
        assert items == 2 or detectable_effect(items, deviation, confidence=confidence) <= effect + 1e-9

    @properties
    @given(st.floats(0.01, 0.5), st.integers(2, 5_000), st.floats(0.05, 1))
    def test_is_that_of_statsmodels(self, effect: float, items: int, deviation: float) -> None:
        expected = NormalIndPower(ddof=0).power(effect / deviation, items, 0.05, ratio=0, alternative="two-sided")
        assert power_of(effect, items, deviation, confidence=0.95) == pytest.approx(float(expected), rel=1e-6)
