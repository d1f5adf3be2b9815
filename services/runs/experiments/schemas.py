"""Request and response models of experiments."""

from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, JsonValue, model_validator

from services.runs.datasets.schemas import VersionNumber
from services.runs.execution.schemas import MAX_VERSION
from services.runs.experiments.domain import experiment as domain
from services.runs.experiments.domain.settings import (
    DEFAULT_CONFIDENCE,
    EXAMPLE_EFFECT,
    MAX_CONFIDENCE,
    MIN_CONFIDENCE,
    Rate,
    Stopping,
    Verdict,
)
from shared.freejson import FreeText, Line, bounded_by
from shared.http.pagination import PageQuery
from shared.http.responses import ListResponse, ResponseBody
from shared.ids import pattern
from shared.schema import DocumentedModel
from shared.times import Rfc3339

Name = Annotated[Line, Field(min_length=1, max_length=200)]
Label = Annotated[Line, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._ -]*$")]
ScorerType = Literal[
    "exact",
    "contains",
    "regex",
    "json_schema",
    "json_equal",
    "numeric",
    "similarity",
    "latency_ms",
    "cost_usd",
    "tool_calls",
]
_MAX_SCHEMA_BYTES, MAX_PATTERN_CHARS = 64 * 1024, 1_000


class ConfigOverrides(DocumentedModel):
    """Fields of the agent's config that a variant replaces."""

    model_config = ConfigDict(extra="forbid", strict=True)

    model: Annotated[Line, Field(min_length=1, max_length=200)] | None = None
    system_prompt: Annotated[FreeText, Field(max_length=200_000)] | None = None
    temperature: Annotated[Rate, Field(ge=0, le=2)] | None = None
    top_p: Annotated[Rate, Field(gt=0, le=1)] | None = None
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None
    max_output_tokens: Annotated[int, Field(ge=1, le=1_000_000)] | None = None


class NewVariant(DocumentedModel):
    """A version of an agent that is compared."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: Label
    agent_id: Annotated[str, Field(pattern=pattern("agt"))]
    version: Annotated[int, Field(ge=1, le=MAX_VERSION)] | None = None
    """The live version at the start by default."""
    overrides: ConfigOverrides = Field(default_factory=ConfigOverrides)


class NewScorer(DocumentedModel):
    """A function that rates each result between 0 and 1."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: Label
    type: ScorerType
    primary: bool = False
    """Whether its verdicts count toward the confidence of the experiment. The first scorer does if none is named."""
    ignore_case: bool = False
    """For `exact`, `contains` and `similarity`."""
    ignore_whitespace: bool = True
    """As `ignore_case`: runs of white space count as one space."""
    ignore_punctuation: bool = False
    """As `ignore_case`."""
    text: Annotated[FreeText, Field(max_length=10_000)] | None = None
    """For `contains`: the text; the expected output by default."""
    pattern: Annotated[FreeText, Field(max_length=MAX_PATTERN_CHARS)] | None = None
    """For `regex`: a pattern of RE2."""
    json_schema: Annotated[dict[str, JsonValue], bounded_by(_MAX_SCHEMA_BYTES)] | None = None
    """For `json_schema`."""
    paths: Annotated[list[Annotated[Line, Field(pattern=r"^(/[^/]*)+$", max_length=500)]], Field(max_length=100)] = (
        Field(default_factory=list)
    )
    """For `json_equal`: the JSON Pointers that are compared; everything by default."""
    absolute_tolerance: Annotated[Rate, Field(ge=0)] = 0
    """For `numeric`."""
    relative_tolerance: Annotated[Rate, Field(ge=0)] = 0
    """For `numeric`."""
    max: Annotated[Rate, Field(ge=0)] | None = None
    """For `latency_ms` and `cost_usd`: the largest value that passes."""
    any_order: bool = False
    """For `tool_calls`: whether their order does not matter."""

    @model_validator(mode="after")
    def _has_its_parameters(self) -> Self:
        required = {"regex": "pattern", "json_schema": "json_schema", "latency_ms": "max", "cost_usd": "max"}
        name = required.get(self.type)
        if name and getattr(self, name) is None:
            msg = f"{self.type} needs {name}"
            raise ValueError(msg)
        return self


class NewExperiment(DocumentedModel):
    """The request to create an experiment."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={
            "examples": [
                {
                    "name": "Shorter prompt",
                    "dataset_id": "dst_01M82VGHY7E1632V616JPWX2SA",
                    "variants": [
                        {"name": "baseline", "agent_id": "agt_01KATM3XW8P5Q7E9R2T4Y6V1ZB"},
                        {
                            "name": "short",
                            "agent_id": "agt_01KATM3XW8P5Q7E9R2T4Y6V1ZB",
                            "overrides": {"system_prompt": "Answer in one sentence."},
                        },
                    ],
                    "scorers": [{"name": "exact", "type": "exact", "primary": True}],
                    "repetitions": 1,
                    "minimum_effect": EXAMPLE_EFFECT,
                }
            ]
        },
    )

    name: Name
    dataset_id: Annotated[str, Field(pattern=pattern("dst"))]
    dataset_version: VersionNumber | None = None
    """The latest version by default."""
    variants: Annotated[list[NewVariant], Field(min_length=2, max_length=10)]
    """The first is the baseline."""
    scorers: Annotated[list[NewScorer], Field(min_length=1, max_length=20)]
    repetitions: Annotated[int, Field(ge=1, le=20)] = 1
    """The trials of each variant on each item."""
    max_cost_usd: Annotated[Decimal, Field(strict=False, gt=0, le=1_000_000, decimal_places=9)] | None = None
    """The budget of all trials together. Held, used and uncertain amounts never exceed it."""
    max_tokens: Annotated[int, Field(ge=1, le=10**12)] | None = None
    max_concurrency: Annotated[int, Field(ge=1, le=250)] = domain.DEFAULT_CONCURRENCY
    """The trials under way at the same time; all experiments together use at most half of the tenant's slots."""
    confidence: Annotated[Rate, Field(ge=MIN_CONFIDENCE, le=MAX_CONFIDENCE)] = DEFAULT_CONFIDENCE
    minimum_effect: Annotated[Rate, Field(gt=0, le=1)]
    """The smallest difference of scores that matters."""
    stopping: Literal["fixed", "sequential"] = "fixed"
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        for named in (self.variants, self.scorers):
            if len({one.name for one in named}) < len(named):
                msg = "the names of variants, and those of scorers, must differ"
                raise ValueError(msg)
        return self


class ExperimentPatch(DocumentedModel):
    """A change of an experiment."""

    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra={"examples": [{"status": "stopped"}]})

    status: Literal["stopped"]


class ExperimentVariant(DocumentedModel):
    """A variant of an experiment."""

    name: str
    agent_id: str
    version: int | None
    """The pinned version; before the start the requested one, or null for the live one."""
    overrides: dict[str, Any]


class ExperimentScorer(DocumentedModel):
    """A scorer of an experiment."""

    name: str
    type: str
    primary: bool
    parameters: dict[str, Any]


class ExperimentEstimate(DocumentedModel):
    """The size of an experiment before it starts."""

    trials: int
    max_cost_nano_usd: int | None
    """An upper bound from the first items, each call with its full output cap; null if a price is unknown."""
    max_tokens: int
    detectable_effect: Rate
    """The smallest effect that is found with a probability of 80 %, at the largest possible spread of scores."""


class ExperimentProgress(DocumentedModel):
    """The trials of an experiment, and its budget."""

    trials: int
    scheduled: int
    done: int
    errors: int
    left: int
    cost_nano_usd: int
    held_nano_usd: int
    tokens: int
    held_tokens: int
    estimated_nano_usd: int | None
    """The cost until the end, at the mean cost of the trials so far; null before the first one has ended."""
    trials_per_minute: int | None


class Experiment(DocumentedModel):
    """A comparison of variants on the items of a dataset."""

    experiment_id: str
    name: str
    status: domain.ExperimentStatus
    reason: domain.EndReason | None
    """The reason of a stop."""
    dataset_id: str
    dataset_version: int | None
    variants: list[ExperimentVariant]
    scorers: list[ExperimentScorer]
    repetitions: int
    max_cost_nano_usd: int | None
    max_tokens: int | None
    max_concurrency: int
    confidence: Rate
    minimum_effect: Rate
    stopping: Stopping
    seed: int
    estimate: ExperimentEstimate | None = None
    """Present for one draft."""
    created_at: Rfc3339
    updated_at: Rfc3339
    started_at: Rfc3339 | None
    ended_at: Rfc3339 | None

    @classmethod
    def of(cls, experiment: domain.Experiment, *, estimate: ExperimentEstimate | None = None) -> Self:
        """Return the response body of an experiment."""
        definition = experiment.definition
        pinned = {variant.name: variant.version for variant in experiment.pinned}
        return cls(
            experiment_id=experiment.experiment_id,
            name=experiment.name,
            status=experiment.status,
            reason=experiment.reason,
            dataset_id=definition.dataset_id,
            dataset_version=experiment.version,
            variants=[
                ExperimentVariant(
                    name=one.name,
                    agent_id=one.agent_id,
                    version=pinned.get(one.name, one.version),
                    overrides=dict(one.overrides),
                )
                for one in definition.variants
            ],
            scorers=[
                ExperimentScorer(name=one.name, type=one.type, primary=one.primary, parameters=dict(one.parameters))
                for one in definition.scorers
            ],
            repetitions=definition.repetitions,
            max_cost_nano_usd=definition.max_cost_nano_usd,
            max_tokens=definition.max_tokens,
            max_concurrency=definition.max_concurrency,
            confidence=definition.confidence,
            minimum_effect=definition.minimum_effect,
            stopping=definition.stopping,
            seed=definition.seed,
            estimate=estimate,
            created_at=experiment.created_at,
            updated_at=experiment.updated_at,
            started_at=experiment.started_at,
            ended_at=experiment.ended_at,
        )


class ResultsQuery(PageQuery):
    """The query of results."""

    format: Literal["json", "csv", "junit", "markdown"] = "json"
    """`json` has a page of trials, the other formats have all of them."""


class ConfidenceInterval(DocumentedModel):
    """An interval that contains the true value with the stated confidence."""

    low: Rate
    high: Rate


class ExperimentVerdict(DocumentedModel):
    """The result of a comparison with the baseline."""

    variant: str
    scorer: str
    verdict: Verdict
    difference: Rate | None
    interval: ConfidenceInterval | None
    """At the confidence that the number of comparisons leaves for each of them."""
    p_value: Rate | None
    """Adjusted by Holm's method; null for a sequential experiment."""
    confidence: Rate
    minimum_effect: Rate
    items: int
    needed_items: int | None
    """The number of items that would probably decide; null unless the verdict is inconclusive."""
    needed_cost_nano_usd: int | None
    """The cost of the further items."""


class VariantScores(DocumentedModel):
    """The numbers of one variant by one scorer."""

    variant: str
    scorer: str
    trials: int
    errors: int
    mean: Rate | None
    interval: ConfidenceInterval | None
    cost_nano_usd: int
    latency_ms: int | None


class TrialScore(DocumentedModel):
    """The rating of a trial by one scorer: a value or an error."""

    scorer: str
    value: Rate | None
    error: str | None


class TrialResult(DocumentedModel):
    """One trial with its run."""

    trial: int
    item_id: str
    variant: str
    repetition: int
    run_id: str
    status: str
    error_code: str | None
    scores: list[TrialScore]
    cost_nano_usd: int | None
    latency_ms: int | None


class ExperimentResults(DocumentedModel):
    """The verdicts and numbers of an experiment. Those of a fixed experiment are valid once it has completed."""

    verdicts: list[ExperimentVerdict]
    variants: list[VariantScores]
    trials: list[TrialResult]
    """A page of the ended trials, in their order."""


class ExperimentResponse(ResponseBody):
    """The response with one experiment."""

    experiment: Experiment


class ExperimentsResponse(ListResponse):
    """A page of experiments, newest first."""

    experiments: list[Experiment]


class ExperimentStatusBody(DocumentedModel):
    """The state of an experiment and the progress of its trials."""

    experiment_id: str
    status: domain.ExperimentStatus
    reason: domain.EndReason | None
    progress: ExperimentProgress


class ExperimentStatusResponse(ResponseBody):
    """The response with the progress of an experiment."""

    status: ExperimentStatusBody


class ExperimentResultsResponse(ListResponse):
    """The response with the results of an experiment and a page of its trials."""

    results: ExperimentResults
