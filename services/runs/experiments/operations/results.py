"""Results: verdicts and numbers by variant, computed from all trials of an experiment."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from services.runs.experiments.domain.experiment import Experiment, Scorer
from services.runs.experiments.domain.settings import Stopping, Verdict
from services.runs.experiments.domain.statistics.intervals import Interval, mean, t_interval, wilson_interval
from services.runs.experiments.domain.statistics.power import detectable_effect
from services.runs.experiments.domain.trials import Trial, TrialStatus
from services.runs.experiments.domain.verdicts import Comparison, Result, decide
from services.runs.experiments.table import TrialTable
from shared.storage.store import Store

_WORST_DEVIATION = 0.5**0.5
"""The standard deviation of paired differences of two independent pass rates of one half."""


@dataclass(frozen=True, slots=True)
class VariantResult:
    """The numbers of one variant by one scorer."""

    variant: str
    scorer: str
    trials: int
    errors: int
    mean: float | None
    interval: Interval | None
    latency_ms: int | None


@dataclass(frozen=True, slots=True)
class Results:
    """The verdicts and numbers of an experiment."""

    verdicts: Sequence[Result]
    variants: Sequence[VariantResult]
    trials: Sequence[Trial]


def results_of(store: Store, tenant_id: str, experiment: Experiment) -> Results:
    """Return the results of the trials that have ended."""
    trials = list(TrialTable(store, tenant_id, experiment.experiment_id).all())
    # A cancelled trial has no result, and is no error either.
    ended = [trial for trial in trials if trial.status in {TrialStatus.COMPLETED, TrialStatus.FAILED}]
    scorers = experiment.definition.scorers
    return Results(
        verdicts=decide(_comparisons(experiment, ended), experiment.definition.settings),
        variants=[
            _variant_result(experiment, ended, number, scorer)
            for number in range(len(experiment.definition.variants))
            for scorer in scorers
        ],
        trials=ended,
    )


def is_decided(store: Store, tenant_id: str, experiment: Experiment) -> bool:
    """Return whether every verdict about a primary scorer of a sequential experiment is decided."""
    if experiment.definition.stopping is not Stopping.SEQUENTIAL:
        return False
    primary = {scorer.name for scorer in experiment.definition.scorers if scorer.primary}
    verdicts = results_of(store, tenant_id, experiment).verdicts
    return all(result.verdict is not Verdict.INCONCLUSIVE for result in verdicts if result.scorer in primary)


def detectable(experiment: Experiment) -> float:
    """Return the smallest effect that all items find with a power of 80 %, if nothing is known about the variants."""
    return detectable_effect(experiment.items, _WORST_DEVIATION, confidence=experiment.definition.confidence)


def scores_of(trial: Trial) -> dict[str, dict[str, float | str]]:
    """Return the scores of a trial by scorer: `value` or `error`."""
    return cast("dict[str, dict[str, float | str]]", json.loads(trial.scores))


def value_of(trial: Trial, scorer: str) -> float | None:
    """Return the score of a trial, or None if it has none."""
    value = scores_of(trial).get(scorer, {}).get("value")
    return None if value is None else float(value)


def _comparisons(experiment: Experiment, ended: Sequence[Trial]) -> list[Comparison]:
    definition = experiment.definition
    counted = _prefix(experiment, ended) if definition.stopping is Stopping.SEQUENTIAL else ended
    return [
        _comparison(counted, number, variant.name, scorer)
        for number, variant in enumerate(definition.variants)
        if number
        for scorer in definition.scorers
    ]


def _prefix(experiment: Experiment, ended: Sequence[Trial]) -> list[Trial]:
    """Return the trials of the first items of which every trial has ended.

    Faster trials end first. If the order depended on that, it would depend on the results.
    """
    block = len(experiment.definition.variants) * experiment.definition.repetitions
    numbers = {trial.number for trial in ended}
    complete = 0
    while all(complete * block + offset in numbers for offset in range(block)):
        complete += 1
    return [trial for trial in ended if trial.number < complete * block]


def _comparison(ended: Sequence[Trial], number: int, name: str, scorer: Scorer) -> Comparison:
    of_both = [trial for trial in ended if trial.variant in {0, number}]
    errors = sum(value_of(trial, scorer.name) is None for trial in of_both)
    return Comparison(
        name,
        scorer.name,
        _by_item(of_both, number, scorer.name),
        _by_item(of_both, 0, scorer.name),
        trials=len(of_both),
        errors=errors,
        primary=scorer.primary,
    )


def _by_item(trials: Sequence[Trial], variant: int, scorer: str) -> Mapping[str, Sequence[float]]:
    scores: dict[str, list[float]] = {}
    for trial in trials:
        value = value_of(trial, scorer)
        if trial.variant == variant and value is not None:
            scores.setdefault(trial.item_id, []).append(value)
    return scores


def _variant_result(experiment: Experiment, ended: Sequence[Trial], number: int, scorer: Scorer) -> VariantResult:
    definition = experiment.definition
    own = [trial for trial in ended if trial.variant == number]
    by_item = [mean(scores) for scores in _by_item(own, number, scorer.name).values()]
    latencies = [trial.latency_ms for trial in own if trial.latency_ms is not None]
    interval = None
    if by_item:
        is_rate = definition.repetitions == 1 and all(value in {0.0, 1.0} for value in by_item)
        interval = (
            wilson_interval(sum(by_item), len(by_item), confidence=definition.confidence)
            if is_rate
            else t_interval(by_item, confidence=definition.confidence).clipped(0, 1)
        )
    return VariantResult(
        definition.variants[number].name,
        scorer.name,
        trials=len(own),
        errors=sum(trial.status is not TrialStatus.COMPLETED or value_of(trial, scorer.name) is None for trial in own),
        mean=mean(by_item) if by_item else None,
        interval=interval,
        latency_ms=round(mean(latencies)) if latencies else None,
    )
