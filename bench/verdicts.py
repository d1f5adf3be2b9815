"""Simulate experiments and count false verdicts: `python -m bench.verdicts --seed 1 --write docs/verdicts.md`.

Each cell has 2,000 experiments with 500 items and one repetition, pass/fail. Item by item, both variants share the
difficulty with probability one half, and are independent otherwise. The true pass rate of the baseline is given, and
that of the variant is lower by the effect. A sequential experiment is looked at after every item, and ends with the
first verdict that is not inconclusive; its coverage is that of all its intervals together.
"""

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from random import Random
from textwrap import fill

from services.runs.experiments.domain.settings import Stopping, Verdict, VerdictSettings
from services.runs.experiments.domain.statistics.intervals import Interval
from services.runs.experiments.domain.statistics.sequences import ConfidenceSequence
from services.runs.experiments.domain.verdicts import Comparison, decide, verdict_of

EXPERIMENTS, ITEMS = 2_000, 500
CONFIDENCE, MINIMUM_EFFECT = 0.95, 0.1
PASS_RATES = (0.5, 0.9, 0.99)
EFFECTS = (0.0, 1.0, 2.0)
"""Multiples of the minimum effect."""
_SHARED_DIFFICULTY = 0.5


@dataclass(frozen=True, slots=True)
class Cell:
    """The results of the simulated experiments of one kind."""

    stopping: Stopping
    pass_rate: float
    effect: float
    experiments: int
    false_verdicts: int
    covered: int
    decided: int
    """The experiments with the correct verdict."""
    items: float
    """The mean number of items until the end."""

    @property
    def false_rate(self) -> float:
        """The rate of false verdicts."""
        return self.false_verdicts / self.experiments

    @property
    def coverage(self) -> float:
        """The rate of experiments whose interval contains the true difference."""
        return self.covered / self.experiments

    @property
    def is_as_promised(self) -> bool:
        """Whether neither rate misses its bound by more than three standard errors of the simulation."""
        error = 3 * sqrt(CONFIDENCE * (1 - CONFIDENCE) / self.experiments)
        return self.false_rate <= 1 - CONFIDENCE + error and self.coverage >= CONFIDENCE - error


def scores_of(random: Random, *, pass_rate: float, difference: float, items: int) -> tuple[list[float], list[float]]:
    """Return the scores of the baseline and of the variant."""
    baseline, variant = list[float](), list[float]()
    for _ in range(items):
        difficulty = random.random()
        other = difficulty if random.random() < _SHARED_DIFFICULTY else random.random()
        baseline.append(float(difficulty < pass_rate))
        variant.append(float(other < pass_rate + difference))
    return baseline, variant


def is_false(verdict: Verdict, effect: float) -> bool:
    """Return whether a verdict contradicts the true difference, which is negative or 0."""
    allowed = {Verdict.INCONCLUSIVE, Verdict.WORSE if effect else Verdict.EQUIVALENT}
    return verdict not in allowed


def fixed_experiment(baseline: Sequence[float], variant: Sequence[float]) -> tuple[Verdict, Interval, int]:
    """Return the verdict, the interval and the number of items of an experiment with a fixed end."""
    names = [str(number) for number in range(len(baseline))]
    comparison = Comparison(
        "variant",
        "exact",
        {name: [score] for name, score in zip(names, variant, strict=True)},
        {name: [score] for name, score in zip(names, baseline, strict=True)},
        trials=2 * len(baseline),
        errors=0,
    )
    settings = VerdictSettings(CONFIDENCE, MINIMUM_EFFECT, Stopping.FIXED, seed=0)
    [result] = decide([comparison], settings)
    return result.verdict, result.interval or Interval(-1, 1), len(baseline)


def sequential_experiment(baseline: Sequence[float], variant: Sequence[float]) -> tuple[Verdict, Interval, int]:
    """Return the first verdict, the last interval of all items, and the number of items until the verdict."""
    sequence, verdict, ended = ConfidenceSequence(CONFIDENCE), Verdict.INCONCLUSIVE, len(baseline)
    for number, (before, after) in enumerate(zip(baseline, variant, strict=True), start=1):
        inner = sequence.add((after - before + 1) / 2)
        if verdict is Verdict.INCONCLUSIVE:
            looked = Interval(2 * inner.low - 1, 2 * inner.high - 1)
            verdict = verdict_of(looked, minimum_effect=MINIMUM_EFFECT)
            ended = number if verdict is not Verdict.INCONCLUSIVE else ended
    inner = sequence.interval
    return verdict, Interval(2 * inner.low - 1, 2 * inner.high - 1), ended


def simulate(stopping: Stopping, *, pass_rate: float, effect: float, experiments: int, seed: int) -> Cell:
    """Return the results of a cell."""
    random = Random(f"{seed} {stopping} {pass_rate} {effect}")  # noqa: S311 — a simulation
    run = fixed_experiment if stopping is Stopping.FIXED else sequential_experiment
    difference, counts, items = -effect * MINIMUM_EFFECT, Counter[str](), 0
    for _ in range(experiments):
        scores = scores_of(random, pass_rate=pass_rate, difference=difference, items=ITEMS)
        verdict, interval, used = run(*scores)
        counts["false"] += is_false(verdict, effect)
        counts["covered"] += interval.low <= difference + 1e-12 and difference - 1e-12 <= interval.high
        counts["decided"] += verdict is (Verdict.WORSE if effect else Verdict.EQUIVALENT)
        items += used
    return Cell(
        stopping,
        pass_rate,
        effect,
        experiments,
        false_verdicts=counts["false"],
        covered=counts["covered"],
        decided=counts["decided"],
        items=items / experiments,
    )


def cells(*, experiments: int, seed: int) -> Iterator[Cell]:
    """Yield the results of all cells."""
    for stopping in Stopping:
        for pass_rate in PASS_RATES:
            for effect in EFFECTS:
                yield simulate(stopping, pass_rate=pass_rate, effect=effect, experiments=experiments, seed=seed)


def table_of(found: Sequence[Cell], *, seed: int) -> str:
    """Return the results as Markdown."""
    error = 3 * sqrt(CONFIDENCE * (1 - CONFIDENCE) / found[0].experiments)
    text = (
        f"`python -m bench.verdicts --seed {seed} --write docs/verdicts.md` simulated {found[0].experiments:,} "
        f"experiments per cell, with {ITEMS} items each, a confidence of {CONFIDENCE} and a minimum effect of "
        f"{MINIMUM_EFFECT}. The rate of false verdicts must be at most {1 - CONFIDENCE:.2f}, and the coverage at least "
        f"{CONFIDENCE}. Three standard errors of the simulation are {error:.3f}. Power is the rate of the correct "
        "verdict: `equivalent` without an effect, otherwise `worse`. Sequential experiments are checked after every "
        "item and end with the first verdict."
    )
    head = (
        f"# Verdicts of simulated experiments\n\n{fill(text, 120)}\n\n"
        "| Stopping | Pass rate | Effect ÷ minimum | False verdicts | Coverage | Power | Mean items |\n"
        "|---|---|---|---|---|---|---|\n"
    )
    rows = (
        f"| {cell.stopping} | {cell.pass_rate} | {cell.effect:g} | {cell.false_rate:.4f} | {cell.coverage:.4f} "
        f"| {cell.decided / cell.experiments:.3f} | {cell.items:.0f} |\n"
        for cell in found
    )
    return head + "".join(rows)


def main() -> None:
    """Print the table, write it if asked to, and fail if a rate misses its bound."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--experiments", type=int, default=EXPERIMENTS)
    parser.add_argument("--write", type=Path)
    asked = parser.parse_args()
    found = list(cells(experiments=asked.experiments, seed=asked.seed))
    table = table_of(found, seed=asked.seed)
    print(table)
    if asked.write:
        asked.write.write_text(table)
    missed = [cell for cell in found if not cell.is_as_promised]
    if missed:
        msg = f"{len(missed)} cells miss their bound: {missed}"
        raise SystemExit(msg)


if __name__ == "__main__":
    main()
