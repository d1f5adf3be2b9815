"""Scoring: the end of a trial's run becomes its scores, and what it has spent replaces what it held."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, cast

from services.runs.errors import LeaseLost, RunAlreadyEnded, RunNotFound
from services.runs.execution.domain.structured_output import SchemaMismatch, parse_structured
from services.runs.execution.operations.cancel import cancel_run
from services.runs.experiments.domain.experiment import Experiment
from services.runs.experiments.domain.scorers import score_all
from services.runs.experiments.domain.trials import Score, Trial, TrialOutcome, TrialStatus
from services.runs.experiments.operations.laboratory import Laboratory
from services.runs.experiments.table import TrialAlreadyEnded
from services.runs.runs.domain.run import Run, Status
from shared.errors import Conflict

_STATUS = {
    Status.COMPLETED: TrialStatus.COMPLETED,
    Status.REQUIRES_ACTION: TrialStatus.COMPLETED,
    Status.FAILED: TrialStatus.FAILED,
    Status.CANCELLED: TrialStatus.CANCELLED,
}


def _conforms(schema: Mapping[str, Any], text: str) -> bool:
    """Return whether a text is JSON that conforms to a schema, checked in a child process with limits."""
    try:
        parse_structured(text, schema)
    except SchemaMismatch:
        return False
    return True


def end_trial(lab: Laboratory, experiment_id: str, number: int) -> None:
    """Score the run of a trial and settle the budget; nothing if that was done before."""
    experiment, trial = lab.experiments.find(experiment_id), lab.trials(experiment_id).number(number)
    if experiment is None or trial is None or trial.status.is_final:
        return
    try:
        run = lab.runs.get(trial.run_id)
    except RunNotFound:
        return
    if run.status not in _STATUS:
        return
    ended = _ended(lab, experiment, trial, run)
    scores = cast("dict[str, dict[str, object]]", json.loads(ended.scores))
    is_error = ended.status is not TrialStatus.COMPLETED or any("error" in score for score in scores.values())
    try:
        lab.experiments.end_trial(trial, ended, is_error=is_error)
    except TrialAlreadyEnded:
        return
    if run.status is Status.REQUIRES_ACTION:
        _cancel(lab, run)


def recover_trials(lab: Laboratory, experiment_id: str, *, submit: Callable[[int], None]) -> None:
    """Continue the trials under way of which a message was lost: those without a run, and those whose run has ended."""
    experiment = lab.experiments.find(experiment_id)
    if experiment is None or not experiment.progress.under_way:
        return
    under_way = list(lab.trials(experiment_id).under_way(experiment.progress.under_way))
    states = lab.runs.states([trial.run_id for trial in under_way])
    for trial in under_way:
        if trial.run_id not in states:
            submit(trial.number)
        elif states[trial.run_id].status in _STATUS:
            end_trial(lab, experiment_id, trial.number)


def _ended(lab: Laboratory, experiment: Experiment, trial: Trial, run: Run) -> Trial:
    scores: Mapping[str, Score] = {}
    outcome = outcome_of(run)
    status = _STATUS[run.status]
    if status is TrialStatus.COMPLETED:
        item = lab.items.at(lab.tenant_id, lab.version_of(experiment), trial.item)
        scores = score_all(experiment.definition.scorers, item, outcome, _conforms)
    is_limited = experiment.definition.max_cost_nano_usd is not None
    return replace(
        trial,
        status=status,
        spent_nano_usd=sum(call.spent_nano_usd for call in run.calls) if is_limited else run.cost_nano_usd or 0,
        spent_tokens=sum(call.spent_tokens for call in run.calls),
        cost_nano_usd=run.cost_nano_usd,
        latency_ms=outcome.latency_ms,
        error_code=run.error.code if run.error else None,
        scores=json.dumps({name: _to_fields(score) for name, score in scores.items()}, separators=(",", ":")),
    )


def outcome_of(run: Run) -> TrialOutcome:
    """Return what scorers see of a run."""
    output: Mapping[str, Any] = run.output or {}
    ended_at = run.calls[-1].ended_at if run.calls else run.ended_at
    begun_at = run.calls[0].started_at if run.calls else run.started_at
    latency_ms = int((ended_at - begun_at).total_seconds() * 1000) if ended_at and begun_at else 0
    return TrialOutcome(
        message=str(output.get("message") or ""),
        data=output.get("data"),
        tool_calls=tuple((call.name, call.arguments) for call in run.tool_calls),
        latency_ms=max(0, latency_ms),
        cost_nano_usd=run.cost_nano_usd,
    )


def _to_fields(score: Score) -> dict[str, object]:
    return {"error": score.error} if score.error is not None else {"value": score.value}


def _cancel(lab: Laboratory, run: Run) -> None:
    """End a run that waits for tools, which nothing will execute."""
    try:
        cancel_run(lab.runs, lab.budgets, run.run_id, now=lab.clock(), if_match=None)
    except (RunNotFound, RunAlreadyEnded, LeaseLost, Conflict):
        return
