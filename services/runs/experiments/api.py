"""HTTP API of experiments."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Query

from services.runs import wiring
from services.runs.experiments.domain import experiment as domain
from services.runs.experiments.domain.settings import Stopping
from services.runs.experiments.domain.trials import Trial
from services.runs.experiments.operations import definitions, presenter
from services.runs.experiments.operations.costs import cost_of, needed_nano_usd
from services.runs.experiments.schemas import (
    ConfidenceInterval,
    Experiment,
    ExperimentEstimate,
    ExperimentPatch,
    ExperimentProgress,
    ExperimentResponse,
    ExperimentResults,
    ExperimentResultsResponse,
    ExperimentsResponse,
    ExperimentStatusBody,
    ExperimentStatusResponse,
    ExperimentVerdict,
    NewExperiment,
    NewScorer,
    ResultsQuery,
    TrialResult,
    TrialScore,
    VariantScores,
)
from services.runs.experiments.table import ExperimentTable
from shared.http.call import Caller, CurrentCall, KnownTenant
from shared.http.pagination import PageQuery, cursor_of, page_after
from shared.http.responses import created, no_content, ok
from shared.http.router import Router
from shared.ids import new_id, pattern
from shared.money import nano_usd
from shared.tenancy.context import TenantContext
from shared.tenancy.permissions import Feature, Role

if TYPE_CHECKING:
    from services.runs.experiments.domain.statistics.intervals import Interval
    from services.runs.experiments.operations.results import Results

router = Router()

_EXPERIMENTS = "/v1/tenants/{tenant_id}/experiments"
_EXPERIMENT = f"{_EXPERIMENTS}/{{experiment_id}}"


@router.route("GET", _EXPERIMENTS, min_role=Role.ANALYST)
def list_experiments(caller: Caller, query: Annotated[PageQuery, Query()]) -> Response[ExperimentsResponse]:
    """List experiments, newest first."""
    after = cursor_of(query.token, caller.tenant_id, "experiments", form=pattern("exp"))
    found, position = _experiments(caller).page(limit=query.limit, after=after)
    return ok(
        ExperimentsResponse(
            experiments=[Experiment.of(one) for one in found],
            pagination=page_after(position, caller.tenant_id, "experiments"),
        )
    )


def _replay_created(caller: TenantContext, experiment_id: str) -> Response[ExperimentResponse]:
    return _created_response(caller, _experiments(caller).get(experiment_id))


@router.route("POST", _EXPERIMENTS, min_role=Role.DEVELOPER, feature=Feature.EXPERIMENTS, replay=_replay_created)
def create_experiment(
    caller: Caller, call: CurrentCall, body: Annotated[NewExperiment, Body()]
) -> Response[ExperimentResponse]:
    """Create an experiment as a draft. Its estimate is part of `GET`."""
    experiment = definitions.create_experiment(
        wiring.tenant_store(),
        caller.tenant_id,
        experiment_id=new_id("exp", call.now),
        name=body.name,
        definition=_definition(body),
        now=call.now,
        idempotency_key=call.idempotency_key,
    )
    return _created_response(caller, experiment)


def _definition(body: NewExperiment) -> domain.Definition:
    has_primary = any(scorer.primary for scorer in body.scorers)
    return domain.Definition(
        dataset_id=body.dataset_id,
        dataset_version=body.dataset_version,
        variants=tuple(
            domain.Variant(one.name, one.agent_id, one.version, one.overrides.model_dump(exclude_none=True))
            for one in body.variants
        ),
        scorers=tuple(
            _scorer(one, primary=one.primary or (not has_primary and not number))
            for number, one in enumerate(body.scorers)
        ),
        repetitions=body.repetitions,
        max_cost_nano_usd=None if body.max_cost_usd is None else nano_usd(body.max_cost_usd),
        max_tokens=body.max_tokens,
        max_concurrency=body.max_concurrency,
        confidence=body.confidence,
        minimum_effect=body.minimum_effect,
        stopping=Stopping(body.stopping),
        seed=body.seed,
    )


def _scorer(scorer: NewScorer, *, primary: bool) -> domain.Scorer:
    given: dict[str, Any] = scorer.model_dump(exclude_none=True, exclude_defaults=True)
    parameters = {name: value for name, value in given.items() if name not in {"name", "type", "primary"}}
    return domain.Scorer(scorer.name, scorer.type, primary, parameters)


@router.route("GET", _EXPERIMENT, min_role=Role.ANALYST)
def get_experiment(caller: Caller, call: CurrentCall, experiment_id: str) -> Response[ExperimentResponse]:
    """Get an experiment, a draft with its estimate."""
    experiment, estimate = _experiments(caller).get(experiment_id), None
    if experiment.status is domain.ExperimentStatus.DRAFT:
        from services.runs.experiments.operations.results import detectable  # Only a draft needs the statistics.

        lab = wiring.laboratory(wiring.access(caller.tenant_id))
        found = presenter.estimate_of(lab, experiment, now=call.now)
        estimate = found and ExperimentEstimate(
            trials=found.trials,
            max_cost_nano_usd=found.max_nano_usd,
            max_tokens=found.max_tokens,
            detectable_effect=detectable(experiment),
        )
    return ok(ExperimentResponse(experiment=Experiment.of(experiment, estimate=estimate)), etag=experiment.seq)


@router.route("PATCH", _EXPERIMENT, min_role=Role.DEVELOPER, feature=Feature.EXPERIMENTS)
@router.route("PUT", _EXPERIMENT, min_role=Role.DEVELOPER, feature=Feature.EXPERIMENTS, documented=False)
def stop_experiment(
    caller: Caller,  # noqa: ARG001 — the access of the tenant names it
    access: KnownTenant,
    call: CurrentCall,
    experiment_id: str,
    body: Annotated[ExperimentPatch, Body()],  # noqa: ARG001 — there is one change
) -> Response[ExperimentResponse]:
    """Stop a running experiment: no further trial starts, and the runs under way are cancelled."""
    lab = wiring.laboratory(access)
    return _response(definitions.stop_experiment(lab, experiment_id, now=call.now, if_match=call.if_match))


@router.route("DELETE", _EXPERIMENT, min_role=Role.DEVELOPER, feature=Feature.EXPERIMENTS)
def delete_experiment(caller: Caller, call: CurrentCall, experiment_id: str) -> Response[None]:
    """Delete an experiment that is not running, with its trials. Their runs remain."""
    definitions.delete_experiment(wiring.tenant_store(), caller.tenant_id, experiment_id, if_match=call.if_match)
    return no_content()


@router.route("POST", f"{_EXPERIMENT}/start", min_role=Role.DEVELOPER, feature=Feature.EXPERIMENTS, statuses=(200,))
def start_experiment(
    caller: Caller,  # noqa: ARG001 — as above
    access: KnownTenant,
    call: CurrentCall,
    experiment_id: str,
) -> Response[ExperimentResponse]:
    """Start a draft. The versions of its variants and of its dataset are pinned now."""
    lab = wiring.laboratory(access)
    return _response(
        definitions.start_experiment(lab, wiring.variant_configs(), experiment_id, now=call.now, if_match=call.if_match)
    )


@router.route("GET", f"{_EXPERIMENT}/status", min_role=Role.ANALYST)
def get_experiment_status(caller: Caller, call: CurrentCall, experiment_id: str) -> Response[ExperimentStatusResponse]:
    """Get the progress of an experiment."""
    experiment = _experiments(caller).get(experiment_id)
    progress, pace = experiment.progress, presenter.pace_of(experiment, now=call.now)
    shown = ExperimentProgress(
        trials=experiment.trials,
        scheduled=progress.scheduled,
        done=progress.ended,
        errors=progress.errors,
        left=experiment.trials - progress.ended,
        cost_nano_usd=progress.spent_nano_usd,
        held_nano_usd=progress.held_nano_usd,
        tokens=progress.spent_tokens,
        held_tokens=progress.held_tokens,
        estimated_nano_usd=pace.estimated_nano_usd,
        trials_per_minute=pace.trials_per_minute,
    )
    body = ExperimentStatusBody(
        experiment_id=experiment.experiment_id, status=experiment.status, reason=experiment.reason, progress=shown
    )
    return ok(ExperimentStatusResponse(status=body))


@router.route("GET", f"{_EXPERIMENT}/results", min_role=Role.ANALYST)
def get_experiment_results(
    caller: Caller, experiment_id: str, query: Annotated[ResultsQuery, Query()]
) -> Response[ExperimentResultsResponse | str]:
    """Get verdicts, numbers by variant, and trials. `format` selects JSON, CSV, JUnit XML or Markdown."""
    from services.runs.experiments.operations.results import results_of  # Only this request needs the statistics.

    experiment = _experiments(caller).get(experiment_id)
    results = results_of(wiring.tenant_store(), caller.tenant_id, experiment)
    if query.format != "json":
        return _report(experiment, results, query.format)
    scope = (caller.tenant_id, "trials", experiment_id)
    first = int(cursor_of(query.token, *scope, form="[0-9]{1,5}") or 0)
    shown = results.trials[first : first + query.limit]
    following = first + len(shown)
    pagination = page_after(str(following) if following < len(results.trials) else None, *scope)
    body = ExperimentResultsResponse(results=_results(experiment, results, shown), pagination=pagination)
    return ok(body)  # pyright: ignore[reportReturnType]  # Response is invariant


def _report(experiment: domain.Experiment, results: "Results", name: str) -> Response[Any]:
    from services.runs.experiments.operations import reports  # Most responses need no report.

    media_type, render = {
        "csv": ("text/csv; charset=utf-8", reports.csv_of),
        "junit": ("application/xml", reports.junit_of),
        "markdown": ("text/markdown; charset=utf-8", reports.markdown_of),
    }[name]
    return Response(status_code=200, content_type=media_type, body=render(experiment, results))


def _results(experiment: domain.Experiment, results: "Results", trials: Sequence[Trial]) -> ExperimentResults:
    definition = experiment.definition
    names = [variant.name for variant in definition.variants]
    return ExperimentResults(
        verdicts=[
            ExperimentVerdict(
                variant=one.variant,
                scorer=one.scorer,
                verdict=one.verdict,
                difference=one.difference,
                interval=_interval(one.interval),
                p_value=one.p_value,
                confidence=definition.confidence,
                minimum_effect=definition.minimum_effect,
                items=one.items,
                needed_items=one.needed_items,
                needed_cost_nano_usd=needed_nano_usd(results.trials, items=one.items, needed_items=one.needed_items),
            )
            for one in results.verdicts
        ],
        variants=[
            VariantScores(
                variant=one.variant,
                scorer=one.scorer,
                trials=one.trials,
                errors=one.errors,
                mean=one.mean,
                interval=_interval(one.interval),
                cost_nano_usd=cost_of(results.trials, variant=names.index(one.variant)),
                latency_ms=one.latency_ms,
            )
            for one in results.variants
        ],
        trials=[_trial(experiment, trial) for trial in trials],
    )


def _interval(interval: "Interval | None") -> ConfidenceInterval | None:
    return None if interval is None else ConfidenceInterval(low=interval.low, high=interval.high)


def _trial(experiment: domain.Experiment, trial: Trial) -> TrialResult:
    scores: dict[str, dict[str, Any]] = json.loads(trial.scores)
    return TrialResult(
        trial=trial.number,
        item_id=trial.item_id,
        variant=experiment.definition.variants[trial.variant].name,
        repetition=trial.repetition,
        run_id=trial.run_id,
        status=trial.status,
        error_code=trial.error_code,
        scores=[_score(name, score) for name, score in scores.items()],
        cost_nano_usd=trial.cost_nano_usd,
        latency_ms=trial.latency_ms,
    )


def _score(name: str, score: Mapping[str, Any]) -> TrialScore:
    return TrialScore(scorer=name, value=score.get("value"), error=score.get("error"))


def _experiments(caller: TenantContext) -> ExperimentTable:
    return ExperimentTable(wiring.tenant_store(), caller.tenant_id)


def _response(experiment: domain.Experiment) -> Response[ExperimentResponse]:
    return ok(ExperimentResponse(experiment=Experiment.of(experiment)), etag=experiment.seq)


def _created_response(caller: TenantContext, experiment: domain.Experiment) -> Response[ExperimentResponse]:
    location = _EXPERIMENT.format(tenant_id=caller.tenant_id, experiment_id=experiment.experiment_id)
    return created(ExperimentResponse(experiment=Experiment.of(experiment)), location=location, etag=experiment.seq)
