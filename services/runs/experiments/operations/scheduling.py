"""Scheduling: the next trials of an experiment are held in its budget, submitted, and continued as others end.

Each step is one transaction with the event of the next step. A delivery that is repeated, or a crash between two
steps, changes nothing: a trial is scheduled once because its number is the counter of its experiment, its run exists
once because its id is derived, and it ends once because its row does.
"""

from datetime import datetime

from services.runs.errors import DatasetVersionNotFound, PromptTooLarge, StorageFull, VariablesMissing
from services.runs.execution.operations.submission import submit_run
from services.runs.experiments.domain import experiment as domain
from services.runs.experiments.domain.experiment import EndReason, Experiment, ExperimentStatus, scheduled_event
from services.runs.experiments.domain.trials import Trial, cancel_trial, run_id_of
from services.runs.experiments.operations.laboratory import Laboratory
from services.runs.experiments.operations.results import is_decided
from services.runs.experiments.table import (
    CHECK_INTERVAL,
    EXPERIMENTS_DUE,
    BudgetExhausted,
    ExperimentTable,
    TrialAlreadyEnded,
    TrialAlreadyScheduled,
)
from services.runs.prompts.operations import read_config
from services.runs.providers.domain.request import compose
from services.runs.runs.domain.run import PinnedVersion, RunRequest, TrialRef
from shared.errors import ChangedMeanwhile, LimitReached
from shared.storage.due import DueEntry, DueQueue
from shared.storage.objects import DocumentMissing
from shared.storage.store import Store
from shared.sweep import Swept, sweep

_REPAIRS = 2
"""The calls that are held for an agent with a response schema, whose invalid answer is repaired once."""
_MIN_CHECKED = 50
"""A sequential experiment is checked after this many trials, or a fortieth of all."""


def advance(lab: Laboratory, experiment_id: str) -> None:
    """Schedule as many trials as may be under way, or end the experiment if nothing is left to do."""
    while True:
        experiment = lab.experiments.find(experiment_id)
        if experiment is None or experiment.status is not ExperimentStatus.RUNNING:
            return
        if experiment.progress.ended >= experiment.trials:
            _end(lab, experiment, ExperimentStatus.COMPLETED)
            return
        if experiment.progress.scheduled >= experiment.trials or not _has_place(lab, experiment):
            return
        if not _schedule_next(lab, experiment):
            return


def _has_place(lab: Laboratory, experiment: Experiment) -> bool:
    """Return whether another trial may be under way.

    All experiments of a tenant together use at most half of its slots, so that its other runs find one.
    """
    share = lab.budgets.limits_of(lab.access).runs // 2 // max(1, lab.experiments.running())
    return experiment.progress.under_way < min(experiment.definition.max_concurrency, max(1, share))


def _schedule_next(lab: Laboratory, experiment: Experiment) -> bool:
    """Schedule the next trial, and return whether the experiment goes on."""
    try:
        trial = _next_trial(lab, experiment)
        event = scheduled_event(lab.tenant_id, experiment, trial.number, now=lab.clock())
        lab.experiments.schedule(experiment, trial, event)
    except TrialAlreadyScheduled:
        return True  # Another delivery has scheduled it; look again.
    except BudgetExhausted:
        _wait_or_stop(lab, experiment)
        return False
    except (DatasetVersionNotFound, DocumentMissing, VariablesMissing, PromptTooLarge):
        _end(lab, experiment, ExperimentStatus.FAILED)
        return False
    return True


def _wait_or_stop(lab: Laboratory, experiment: Experiment) -> None:
    """Stop an experiment whose budget is exhausted, unless trials under way will free what they do not use."""
    seen = lab.experiments.find(experiment.experiment_id)
    if seen and not seen.progress.under_way:
        _end(lab, seen, ExperimentStatus.STOPPED, reason=EndReason.BUDGET)


def _next_trial(lab: Laboratory, experiment: Experiment) -> Trial:
    number = experiment.progress.scheduled
    place = domain.place_of(experiment, number)
    item = lab.items.at(lab.tenant_id, lab.version_of(experiment), place.item)
    variant = experiment.pinned[place.variant]
    template = variant.prompt.template if variant.prompt else None
    config = read_config(lab.configs, lab.tenant_id, variant.config, template=template, inputs=item.inputs)
    request = compose(config, item.inputs, max_output_tokens=None)
    calls = _REPAIRS if config.get("response_schema") else 1
    is_limited = experiment.definition.max_cost_nano_usd is not None
    held_nano_usd = calls * lab.planner.max_nano_usd(request, now=lab.clock()) if is_limited else 0
    started_at = experiment.started_at or experiment.created_at
    return Trial(
        experiment.experiment_id,
        number,
        run_id_of(experiment.experiment_id, number, started_at=started_at),
        item.item_id,
        place.item,
        place.variant,
        place.repetition,
        held_nano_usd=held_nano_usd,
        held_tokens=calls * request.bound_tokens,
    )


def submit_trial(lab: Laboratory, experiment_id: str, number: int, *, request_id: str) -> None:
    """Submit the run of a scheduled trial, unless it exists or the experiment is over."""
    experiment, trial = lab.experiments.find(experiment_id), lab.trials(experiment_id).number(number)
    if experiment is None or trial is None or trial.status.is_final:
        return
    if lab.runs.states([trial.run_id]):
        return
    if experiment.is_over:
        _give_up(lab, trial)
        return
    try:
        item = lab.items.at(lab.tenant_id, lab.version_of(experiment), trial.item)
        _submit(lab, experiment, trial, dict(item.inputs), request_id=request_id)
    except ChangedMeanwhile:
        return  # Another delivery has submitted it.
    except (DatasetVersionNotFound, DocumentMissing, StorageFull):
        _give_up(lab, trial)
        _end(lab, experiment, ExperimentStatus.FAILED)
    except LimitReached:
        _give_up(lab, trial)
        _end(lab, experiment, ExperimentStatus.STOPPED, reason=EndReason.BUDGET)


def _submit(
    lab: Laboratory, experiment: Experiment, trial: Trial, inputs: dict[str, object], *, request_id: str
) -> None:
    definition, variant = experiment.definition, experiment.pinned[trial.variant]
    max_tokens = trial.held_tokens if definition.max_tokens is not None else None
    request = RunRequest(
        run_id=trial.run_id,
        agent_id=variant.agent_id,
        version=variant.version,
        inputs=inputs,
        metadata={},
        max_output_tokens=None,
        max_cost_nano_usd=trial.held_nano_usd if definition.max_cost_nano_usd is not None else None,
        request_id=request_id,
        trace_id="",
        waited=False,
        trial=TrialRef(experiment.experiment_id, trial.number, max_tokens),
        pinned=PinnedVersion(variant.version, variant.config, variant.project_id, variant.prompt),
    )
    submit_run(lab.agents, lab.runs, lab.configs, lab.planner, lab.access, request, now=lab.clock())


def _give_up(lab: Laboratory, trial: Trial) -> None:
    """End a trial without a run; what it held is free again."""
    try:
        lab.experiments.end_trial(trial, cancel_trial(trial), is_error=False)
    except TrialAlreadyEnded:
        return


def _end(lab: Laboratory, experiment: Experiment, status: ExperimentStatus, *, reason: EndReason | None = None) -> None:
    over, events = domain.end(lab.tenant_id, experiment, status, now=lab.clock(), reason=reason)
    try:
        lab.experiments.save(over, events, running=-1)
    except ChangedMeanwhile:
        return  # Another delivery, or its user, has ended it.


def stop_if_decided(lab: Laboratory, experiment_id: str) -> None:
    """End a sequential experiment whose verdicts are decided, after every few trials."""
    experiment = lab.experiments.find(experiment_id)
    if experiment is None or experiment.status is not ExperimentStatus.RUNNING:
        return
    interval = max(_MIN_CHECKED, experiment.trials // 40)
    if experiment.progress.ended % interval or not is_decided(lab.store, lab.tenant_id, experiment):
        return
    _end(lab, experiment, ExperimentStatus.STOPPED, reason=EndReason.DECIDED)


def check_experiments(store: Store, *, now: datetime, concurrency: int = 1) -> Swept:
    """Continue experiments of which a message may have been lost."""
    queue = DueQueue(store, EXPERIMENTS_DUE, ExperimentTable)

    def handle(entry: DueEntry) -> None:
        experiment = queue.load(entry)
        experiments = ExperimentTable(store, entry.tenant_id)
        if experiment is None or (experiment.is_over and not experiment.progress.under_way):
            experiments.forget_due(entry)
            return
        experiments.publish(domain.check_event(entry.tenant_id, experiment, now=now))
        queue.postpone(entry, at=now + CHECK_INTERVAL)

    return sweep(queue, handle, now=now, concurrency=concurrency)
