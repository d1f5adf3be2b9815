"""Experiments: definition, states, the order of their trials, and the budget that they hold."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any

from services.runs.experiments.domain.settings import Rate, Stopping, VerdictSettings
from services.runs.runs.domain.run import PinnedPrompt
from shared.document_ref import DocumentRef
from shared.events.envelope import Event, new_event
from shared.events.runs import ExperimentCompleted, ExperimentStarted, RunsEvent, TrialScheduled
from shared.times import to_text

MAX_TRIALS = 20_000
"""The trials of one experiment. Its results are computed from all of them, at about 500 bytes each."""
MAX_RUNNING = 10
"""The experiments that a tenant can run at the same time."""
DEFAULT_CONCURRENCY = 8


class ExperimentStatus(StrEnum):
    """The states of an experiment."""

    DRAFT = "draft"
    RUNNING = "running"
    COMPLETED = "completed"
    STOPPED = "stopped"
    """It ended before its last trial, for a reason."""
    FAILED = "failed"


class EndReason(StrEnum):
    """The reasons why an experiment was stopped."""

    BUDGET = "budget"
    """The budget of the experiment, or the month's, does not hold another trial with its full output cap."""
    USER = "user"
    DECIDED = "decided"
    """Every verdict of a sequential experiment is decided."""


@dataclass(frozen=True, slots=True)
class Variant:
    """A version of an agent, with overridden fields of its config."""

    name: str
    agent_id: str
    version: int | None
    overrides: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PinnedVariant:
    """A variant with the config that its trials execute."""

    name: str
    agent_id: str
    version: int
    project_id: str | None
    config: DocumentRef
    prompt: PinnedPrompt | None = None
    """The stored prompt of the config; None if its system prompt is a text."""


@dataclass(frozen=True, slots=True)
class Scorer:
    """A function that rates the result of a trial between 0 and 1."""

    name: str
    type: str
    primary: bool
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Definition:
    """The comparison that an experiment makes."""

    dataset_id: str
    dataset_version: int | None
    variants: tuple[Variant, ...]
    """The first is the baseline."""
    scorers: tuple[Scorer, ...]
    repetitions: int
    max_cost_nano_usd: int | None
    max_tokens: int | None
    max_concurrency: int
    confidence: Rate
    minimum_effect: Rate
    stopping: Stopping
    seed: int

    @property
    def settings(self) -> VerdictSettings:
        """The settings of its verdicts."""
        return VerdictSettings(self.confidence, self.minimum_effect, self.stopping, self.seed)


@dataclass(frozen=True, slots=True)
class TrialCounts:
    """The counts of an experiment's trials, and its budget."""

    scheduled: int = 0
    ended: int = 0
    errors: int = 0
    """Ended trials without an output, or with a scorer that failed."""
    held_nano_usd: int = 0
    spent_nano_usd: int = 0
    held_tokens: int = 0
    spent_tokens: int = 0

    @property
    def under_way(self) -> int:
        """The trials that are scheduled and have not ended."""
        return self.scheduled - self.ended


@dataclass(frozen=True, slots=True)
class Experiment:
    """A comparison of variants on the items of a dataset."""

    experiment_id: str
    name: str
    definition: Definition
    status: ExperimentStatus
    seq: int
    created_at: datetime
    updated_at: datetime
    progress: TrialCounts = TrialCounts()
    reason: EndReason | None = None
    version: int | None = None
    """The version of the dataset, pinned at the start."""
    items: int = 0
    pinned: tuple[PinnedVariant, ...] = ()
    started_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def trials(self) -> int:
        """The number of all trials."""
        return self.items * len(self.definition.variants) * self.definition.repetitions

    @property
    def is_over(self) -> bool:
        """Whether no further trial is scheduled."""
        return self.status not in {ExperimentStatus.DRAFT, ExperimentStatus.RUNNING}


@dataclass(frozen=True, slots=True)
class TrialPlace:
    """The item, variant and repetition of a trial."""

    item: int
    variant: int
    repetition: int


def place_of(experiment: Experiment, number: int) -> TrialPlace:
    """Return the place of a trial in the order of its experiment.

    Items come in seeded random order. The trials of an item follow each other, its variants and repetitions in seeded
    random order, so that no variant runs at another time of the day than the others.
    """
    definition = experiment.definition
    block = len(definition.variants) * definition.repetitions
    item = _shuffled(experiment.items, definition.seed)[number // block]
    variant, repetition = divmod(_within(block, f"{definition.seed}:{item}")[number % block], definition.repetitions)
    return TrialPlace(item, variant, repetition)


@lru_cache(maxsize=16)
def _shuffled(items: int, seed: int) -> Sequence[int]:
    return _order(items, str(seed))


@lru_cache(maxsize=256)
def _within(block: int, seed: str) -> Sequence[int]:
    return _order(block, seed)


def _order(count: int, seed: str) -> list[int]:
    """Return the numbers below `count` in an order that depends on the seed alone."""
    return sorted(range(count), key=lambda number: hashlib.sha256(f"{seed}:{number}".encode()).digest())


def start(
    tenant_id: str,
    experiment: Experiment,
    *,
    version: int,
    items: int,
    pinned: tuple[PinnedVariant, ...],
    now: datetime,
) -> tuple[Experiment, list[Event[RunsEvent]]]:
    """Return the running experiment, with everything pinned that its trials depend on."""
    running = replace(
        experiment,
        status=ExperimentStatus.RUNNING,
        version=version,
        items=items,
        pinned=pinned,
        seq=experiment.seq + 1,
        started_at=now,
        updated_at=now,
    )
    return running, [_event(tenant_id, running, ExperimentStarted(experiment_id=running.experiment_id), "started", now)]


def end(
    tenant_id: str,
    experiment: Experiment,
    status: ExperimentStatus,
    *,
    now: datetime,
    reason: EndReason | None = None,
) -> tuple[Experiment, list[Event[RunsEvent]]]:
    """Return the ended experiment. Its trials under way still settle their budget."""
    over = replace(experiment, status=status, reason=reason, seq=experiment.seq + 1, ended_at=now, updated_at=now)
    data = ExperimentCompleted(experiment_id=over.experiment_id, status=status, reason=reason)
    return over, [_event(tenant_id, over, data, "completed", now)]


def check_event(tenant_id: str, experiment: Experiment, *, now: datetime) -> Event[RunsEvent]:
    """Return the event that continues an experiment of which a message was lost."""
    data = ExperimentStarted(experiment_id=experiment.experiment_id)
    return _event(tenant_id, experiment, data, f"check:{to_text(now)}", now)


def scheduled_event(tenant_id: str, experiment: Experiment, number: int, *, now: datetime) -> Event[RunsEvent]:
    """Return the event that lets the run of a trial be submitted."""
    data = TrialScheduled(experiment_id=experiment.experiment_id, trial=number)
    return _event(tenant_id, experiment, data, f"trial:{number}", now)


def _event(tenant_id: str, experiment: Experiment, data: RunsEvent, name: str, now: datetime) -> Event[RunsEvent]:
    return new_event(
        data,
        event_id=f"{experiment.experiment_id}:{name}",
        tenant_id=tenant_id,
        subject=experiment.experiment_id,
        seq=experiment.seq,
        at=now,
    )
