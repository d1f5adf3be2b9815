"""Experiments in responses: the estimate of a draft, and the progress of a running one."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from services.runs.agents.operations import pin_version
from services.runs.datasets.operations.items import find_version
from services.runs.errors import ModelWithoutPrice, PromptTooLarge, VariablesMissing
from services.runs.experiments.domain.experiment import Experiment
from services.runs.experiments.operations.laboratory import Laboratory
from services.runs.prompts.domain import config_with_prompt
from services.runs.prompts.operations import pin_prompt
from services.runs.providers.domain.request import compose
from shared.errors import AinexusError

_SAMPLED_ITEMS = 20


@dataclass(frozen=True, slots=True)
class Estimate:
    """The upper bounds of an experiment, from its first items."""

    trials: int
    max_nano_usd: int | None
    max_tokens: int


@dataclass(frozen=True, slots=True)
class Pace:
    """The progress of an experiment."""

    estimated_nano_usd: int | None
    trials_per_minute: int | None


def estimate_of(lab: Laboratory, experiment: Experiment, *, now: datetime) -> Estimate | None:
    """Return the estimate of an experiment, or None if a variant cannot be executed."""
    try:
        return _estimate(lab, experiment, now=now)
    except AinexusError:
        return None


def _estimate(lab: Laboratory, experiment: Experiment, *, now: datetime) -> Estimate:
    definition = experiment.definition
    version = find_version(lab.store, lab.tenant_id, definition.dataset_id, experiment.version)
    sampled = min(_SAMPLED_ITEMS, version.items)
    items = [lab.items.at(lab.tenant_id, version, position) for position in range(sampled)]
    tokens, cost = 0, 0
    is_priced = True
    for variant in definition.variants:
        _, pinned = pin_version(lab.agents, lab.tenant_id, variant.agent_id, variant.version, now=now)
        config = {**lab.configs.read(lab.tenant_id, pinned.config), **variant.overrides}
        for item in items:
            request = compose(_rendered(lab, config, item.inputs, now=now), item.inputs, max_output_tokens=None)
            tokens += request.bound_tokens
            try:
                cost += lab.planner.max_nano_usd(request, now=now)
            except ModelWithoutPrice:
                is_priced = False
    whole = version.items * definition.repetitions
    return Estimate(
        trials=experiment.trials,
        max_nano_usd=-(-cost * whole // max(1, sampled)) if is_priced else None,
        max_tokens=-(-tokens * whole // max(1, sampled)),
    )


def _rendered(
    lab: Laboratory, config: Mapping[str, Any], inputs: Mapping[str, Any], *, now: datetime
) -> Mapping[str, Any]:
    """Return a config whose system prompt is a text. Without a value for each variable, it is the template."""
    found = pin_prompt(lab.agents.prompts, lab.tenant_id, config, now=now)
    if found is None:
        return config
    template = str(lab.configs.read(lab.tenant_id, found.template)["template"])
    try:
        return config_with_prompt(config, template, inputs)
    except (VariablesMissing, PromptTooLarge):
        return {**config, "system_prompt": template}


def pace_of(experiment: Experiment, *, now: datetime) -> Pace:
    """Return the cost until the end and the rate, from the trials so far."""
    progress = experiment.progress
    if not progress.ended or experiment.started_at is None:
        return Pace(None, None)
    left = 0 if experiment.is_over else experiment.trials - progress.ended
    elapsed_ms = max(1, ((experiment.ended_at or now) - experiment.started_at) // timedelta(milliseconds=1))
    return Pace(
        estimated_nano_usd=progress.spent_nano_usd - (-left * progress.spent_nano_usd // progress.ended),
        trials_per_minute=progress.ended * 60_000 // elapsed_ms,
    )
