"""Operations that create, start, stop and delete experiments."""

from datetime import datetime
from typing import Any

from services.runs.agents.operations import pin_version
from services.runs.datasets.operations.items import find_version
from services.runs.errors import (
    DefinitionInvalid,
    ExperimentNotDraft,
    ExperimentNotEnded,
    ExperimentNotRunning,
    LeaseLost,
    RunAlreadyEnded,
    RunNotFound,
)
from services.runs.execution.operations.cancel import cancel_run
from services.runs.experiments.domain import experiment as domain
from services.runs.experiments.domain.experiment import (
    MAX_TRIALS,
    Definition,
    EndReason,
    Experiment,
    ExperimentStatus,
    PinnedVariant,
    Variant,
)
from services.runs.experiments.gateway import VariantConfigs
from services.runs.experiments.operations.laboratory import Laboratory
from services.runs.experiments.table import ExperimentTable, TrialTable
from services.runs.prompts.operations import pin_prompt
from services.runs.providers.domain.request import compose
from services.runs.runs.domain.run import PinnedPrompt
from shared.errors import Conflict
from shared.models.names import UnknownModel, WrongPrefix
from shared.patterns import Pattern, PatternInvalid
from shared.preconditions import check_if_match
from shared.storage.idempotency import IdempotencyKey
from shared.storage.store import Store


def create_experiment(
    store: Store,
    tenant_id: str,
    *,
    experiment_id: str,
    name: str,
    definition: Definition,
    now: datetime,
    idempotency_key: IdempotencyKey | None,
) -> Experiment:
    """Create a draft.

    Raises:
        DatasetNotFound, DatasetVersionNotFound: there are no items.
        DefinitionInvalid: a scorer cannot be used, or there would be too many trials.
    """
    version = find_version(store, tenant_id, definition.dataset_id, definition.dataset_version)
    _check(definition, items=version.items)
    draft = Experiment(
        experiment_id,
        name,
        definition,
        ExperimentStatus.DRAFT,
        1,
        now,
        now,
        version=version.version,
        items=version.items,
    )
    ExperimentTable(store, tenant_id).create(draft, idempotency_key=idempotency_key)
    return draft


def _check(definition: Definition, *, items: int) -> None:
    trials = items * len(definition.variants) * definition.repetitions
    if trials > MAX_TRIALS:
        reason = f"gives {trials} trials; an experiment can have at most {MAX_TRIALS}"
        raise DefinitionInvalid(field="repetitions", message=reason)
    for number, scorer in enumerate(definition.scorers):
        if scorer.type == "regex":
            try:
                Pattern(str(scorer.parameters["pattern"])).is_in("")
            except PatternInvalid as error:
                field = f"scorers.{number}.pattern"
                raise DefinitionInvalid(
                    field, "is not a pattern of RE2 (no look-around, no back-references)"
                ) from error


def start_experiment(
    lab: Laboratory, variants: VariantConfigs, experiment_id: str, *, now: datetime, if_match: str | None
) -> Experiment:
    """Pin the versions of a draft and start it.

    Raises:
        ExperimentNotDraft: it was started before.
        TooManyExperiments: the tenant runs the maximum number of experiments.
        RequestedAgentNotFound, RequestedVersionNotFound: a variant cannot be executed.
        PromptOfAgentNotFound, PromptOfAgentDeleted: the stored prompt of a variant does not exist.
        ModelWithoutPrice: the cost is limited and the price of a model is unknown.
    """
    experiment = lab.experiments.get(experiment_id)
    check_if_match(if_match, experiment.seq)
    if experiment.status is not ExperimentStatus.DRAFT:
        raise ExperimentNotDraft
    definition = experiment.definition
    version = find_version(lab.store, lab.tenant_id, definition.dataset_id, experiment.version)
    pinned = tuple(
        _pin(lab, variants, experiment, number, variant, now=now) for number, variant in enumerate(definition.variants)
    )
    running, events = domain.start(
        lab.tenant_id, experiment, version=version.version, items=version.items, pinned=pinned, now=now
    )
    lab.experiments.save(running, events, running=1)
    return running


def _pin(
    lab: Laboratory, variants: VariantConfigs, experiment: Experiment, number: int, variant: Variant, *, now: datetime
) -> PinnedVariant:
    agent, version = pin_version(lab.agents, lab.tenant_id, variant.agent_id, variant.version, now=now)
    config, reference = dict(lab.configs.read(lab.tenant_id, version.config)), version.config
    if variant.overrides:
        config |= variant.overrides
        reference = variants.write(lab.tenant_id, experiment.experiment_id, number, config)
    _check_config(lab, experiment.definition, number, config, now=now)
    found = pin_prompt(lab.agents.prompts, lab.tenant_id, config, now=now)
    prompt = PinnedPrompt(found.prompt_id, found.version, found.template) if found else None
    return PinnedVariant(variant.name, variant.agent_id, version.version, agent.project_id, reference, prompt)


def _check_config(
    lab: Laboratory, definition: Definition, number: int, config: dict[str, Any], *, now: datetime
) -> None:
    try:
        request = compose({**config, "system_prompt": None}, {"message": ""}, max_output_tokens=None)
    except (UnknownModel, WrongPrefix) as error:
        field = f"variants.{number}.overrides.model"
        raise DefinitionInvalid(field, "is not a known model") from error
    if definition.max_cost_nano_usd is not None:
        lab.planner.check_priced(request, now=now)


def stop_experiment(lab: Laboratory, experiment_id: str, *, now: datetime, if_match: str | None) -> Experiment:
    """Stop a running experiment: no further trial is scheduled, and the runs under way are cancelled.

    Raises:
        ExperimentNotRunning: it is not running.
    """
    experiment = lab.experiments.get(experiment_id)
    check_if_match(if_match, experiment.seq)
    if experiment.status is not ExperimentStatus.RUNNING:
        raise ExperimentNotRunning
    over, events = domain.end(lab.tenant_id, experiment, ExperimentStatus.STOPPED, now=now, reason=EndReason.USER)
    lab.experiments.save(over, events, running=-1)
    cancel_under_way(lab, lab.experiments.get(experiment_id), now=now)
    return over


def cancel_under_way(lab: Laboratory, experiment: Experiment, *, now: datetime) -> None:
    """Cancel the runs of an experiment that are under way. Their ends settle the budget."""
    for trial in lab.trials(experiment.experiment_id).under_way(experiment.progress.under_way):
        try:
            cancel_run(lab.runs, lab.budgets, trial.run_id, now=now, if_match=None)
        except (RunNotFound, RunAlreadyEnded, LeaseLost, Conflict):
            continue  # It was not submitted and will not be, or it has just ended.


def delete_experiment(store: Store, tenant_id: str, experiment_id: str, *, if_match: str | None) -> None:
    """Delete an experiment with its trials. Their runs remain.

    Raises:
        ExperimentNotEnded: trials are under way.
    """
    experiments = ExperimentTable(store, tenant_id)
    experiment = experiments.get(experiment_id)
    check_if_match(if_match, experiment.seq)
    if experiment.status is ExperimentStatus.RUNNING or experiment.progress.under_way:
        raise ExperimentNotEnded
    # The record goes last, so that an interrupted deletion can be repeated. Nothing writes trials any more.
    store.remove(list(TrialTable(store, tenant_id, experiment_id).keys()))
    experiments.remove(experiment)
