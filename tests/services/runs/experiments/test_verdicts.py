"""Verdicts of comparisons, and the rates of false ones."""

from dataclasses import replace
from random import Random

import pytest

from bench.verdicts import MINIMUM_EFFECT, Cell, simulate, table_of
from services.runs.experiments.domain.settings import Stopping, Verdict, VerdictSettings
from services.runs.experiments.domain.statistics.intervals import Interval
from services.runs.experiments.domain.verdicts import Comparison, decide, verdict_of

FIXED = VerdictSettings(0.95, 0.1, Stopping.FIXED, seed=1)


def compared(
    passed: int, passed_before: int, *, items: int = 200, errors: int = 0, repetitions: int = 1, primary: bool = True
) -> Comparison:
    """Return a comparison in which the first items pass."""
    return Comparison(
        "b",
        "exact",
        {str(item): [float(item < passed)] * repetitions for item in range(items)},
        {str(item): [float(item < passed_before)] * repetitions for item in range(items)},
        trials=2 * items * repetitions,
        errors=errors,
        primary=primary,
    )


class TestDecide:
    @pytest.mark.parametrize("repetitions", [1, 2])
    @pytest.mark.parametrize(
        ("passed", "before", "verdict"),
        [
            (160, 100, Verdict.BETTER),
            (100, 160, Verdict.WORSE),
            (100, 100, Verdict.EQUIVALENT),
            (200, 200, Verdict.EQUIVALENT),
            (103, 100, Verdict.EQUIVALENT),
        ],
    )
    def test_names_the_direction(self, passed: int, before: int, verdict: Verdict, repetitions: int) -> None:
        [result] = decide([compared(passed, before, repetitions=repetitions)], FIXED)
        assert result.verdict is verdict
        assert result.difference == pytest.approx((passed - before) / 200)
        assert result.needed_items is None

    def test_estimates_the_items_that_would_decide(self) -> None:
        [result] = decide([compared(8, 6, items=10)], FIXED)
        assert result.verdict is Verdict.INCONCLUSIVE
        assert result.needed_items is not None
        assert result.needed_items > 10

    def test_is_inconclusive_with_many_errors(self) -> None:
        verdicts = [decide([compared(160, 100, errors=errors)], FIXED)[0].verdict for errors in (20, 21)]
        assert verdicts == [Verdict.BETTER, Verdict.INCONCLUSIVE]

    def test_is_inconclusive_without_two_items(self) -> None:
        [result] = decide([compared(1, 0, items=1)], FIXED)
        assert (result.verdict, result.interval) == (Verdict.INCONCLUSIVE, None)

    def test_does_not_let_items_without_a_difference_prove_much(self) -> None:
        [result] = decide([compared(5, 5, items=5)], FIXED)
        assert result.verdict is Verdict.INCONCLUSIVE

    def test_widens_the_intervals_of_several_primary_scorers(self) -> None:
        [alone] = decide([compared(120, 100)], FIXED)
        several = decide([replace(compared(120, 100), variant=name) for name in "bcde"], FIXED)
        [secondary] = decide([compared(120, 100, primary=False)], FIXED)
        assert alone.interval == secondary.interval
        assert alone.interval is not None
        assert several[0].interval is not None
        assert several[0].interval.low < alone.interval.low
        assert (several[0].p_value or 0) > (alone.p_value or 1)

    def test_compares_continuous_scores(self) -> None:
        random = Random(1)  # noqa: S311 — reproducible
        before = {str(item): [random.random()] for item in range(100)}
        after = {item: [min(1.0, score + 0.2)] for item, [score] in before.items()}
        [result] = decide([Comparison("b", "similarity", after, before, trials=200, errors=0)], FIXED)
        assert result.verdict is Verdict.BETTER

    def test_of_a_sequential_experiment_has_no_p_value(self) -> None:
        [result] = decide([compared(160, 20)], replace(FIXED, stopping=Stopping.SEQUENTIAL))
        assert (result.verdict, result.p_value) == (Verdict.BETTER, None)


class TestVerdictOf:
    def test_a_certain_but_small_difference_is_none(self) -> None:
        assert verdict_of(Interval(0.01, 0.05), minimum_effect=0.1) is Verdict.EQUIVALENT

    def test_a_difference_that_no_test_finds_is_inconclusive(self) -> None:
        assert verdict_of(Interval(0.01, 0.2), minimum_effect=0.1, differs=False) is Verdict.INCONCLUSIVE


class TestSimulation:
    """A short form of `bench.verdicts`, whose results with 2,000 experiments per cell are in docs/verdicts.md."""

    @pytest.mark.parametrize("stopping", [*Stopping])
    @pytest.mark.parametrize(("pass_rate", "effect"), [(0.5, 0.0), (0.9, 1.0), (0.99, 1.0)])
    def test_keeps_its_promise(self, stopping: Stopping, pass_rate: float, effect: float) -> None:
        cell = simulate(stopping, pass_rate=pass_rate, effect=effect, experiments=60, seed=7)
        assert cell.is_as_promised

    def test_recognizes_a_broken_promise(self) -> None:
        cell = Cell(Stopping.FIXED, 0.5, 0.0, 1_000, false_verdicts=80, covered=960, decided=0, items=1)
        assert not cell.is_as_promised
        assert f"{MINIMUM_EFFECT}" in table_of([cell], seed=1)
