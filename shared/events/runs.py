"""Events of the runs service: the states of a run, and the usage of each call to a provider."""

from datetime import datetime
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field
from pydantic.config import JsonDict

from shared.events.envelope import EventData
from shared.meters import OF_CALLS, OF_CALLS_V1, Meter


def _only(names: tuple[Meter, ...]) -> AfterValidator:
    def check(meters: dict[Meter, int]) -> dict[Meter, int]:
        if not meters.keys() <= set(names):
            msg = "a call does not use all of these meters"
            raise ValueError(msg)
        return meters

    return AfterValidator(check)


def _named(names: tuple[Meter, ...]) -> JsonDict:
    """Return the schema of the names. The set of meters may grow, but a contract may not, so it names its meters."""
    return {"propertyNames": {"enum": [meter.value for meter in names], "type": "string"}}


CallMetersV1 = Annotated[dict[Meter, int], _only(OF_CALLS_V1), Field(json_schema_extra=_named(OF_CALLS_V1))]
CallMeters = Annotated[dict[Meter, int], _only(OF_CALLS), Field(json_schema_extra=_named(OF_CALLS))]


class RunsEvent(EventData):
    """Base of the events of the runs service."""

    OWNER: ClassVar[str] = "runs"


class TenantRunsStopped(RunsEvent):
    """All runs of a tenant that is being deleted have ended, and no new ones can start."""

    TYPE: ClassVar[str] = "tenant.runs_stopped.v1"


class RunEvent(RunsEvent):
    """An event of one run."""

    run_id: str


class RunQueued(RunEvent):
    """A run waits for a worker."""

    TYPE: ClassVar[str] = "run.queued.v1"


class RunEnded(RunEvent):
    """A run ended; its final state never changes."""

    agent_id: str
    version: int
    project_id: str | None = None
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime
    attempts: int


class RunCompleted(RunEnded):
    """A run ended with an output."""

    TYPE: ClassVar[str] = "run.completed.v1"


class RunFailed(RunEnded):
    """A run ended without an output."""

    TYPE: ClassVar[str] = "run.failed.v1"

    error_code: str


class RunCancelled(RunEnded):
    """A run was cancelled by the client."""

    TYPE: ClassVar[str] = "run.cancelled.v1"


class ArtifactEvent(RunEvent):
    """An event of a large document that was written for a run and is stored in the bucket.

    For a file of a dataset, `run_id` is the id of the dataset.
    """

    artifact_id: str
    """The name of the document within the run."""
    bytes: int


class ArtifactStored(ArtifactEvent):
    """An artifact was stored."""

    TYPE: ClassVar[str] = "artifact.stored.v1"


class ArtifactDeleted(ArtifactEvent):
    """An artifact was deleted."""

    TYPE: ClassVar[str] = "artifact.deleted.v1"


class ArtifactDownloaded(ArtifactEvent):
    """A download URL of an artifact was issued."""

    TYPE: ClassVar[str] = "artifact.downloaded.v1"

    agent_id: str
    project_id: str | None = None


class EarlierUsageRecorded(RunEvent):
    """The usage of one call, without the meter of cache writes for one hour.

    Superseded by `usage.recorded.v2` and no longer emitted. Consumers accept it while such events may be in flight.
    """

    TYPE: ClassVar[str] = "usage.recorded.v1"

    attempt: int
    call: int
    request_id: str
    """The id of the POST request that created the run."""
    agent_id: str
    version: int
    project_id: str | None = None
    provider: str
    model: str
    meters: CallMetersV1
    cost_nano_usd: int | None = None
    """By the config's `price`, otherwise by the provider's list price; null if unknown, never 0."""
    price_version: str | None = None
    simulated: bool
    period: str
    """The month in which the call is counted, for example `2026-11`."""


class UsageRecorded(EarlierUsageRecorded):
    """The usage of one call, counted by its provider; published once per call with the id `<run>:<attempt>:<call>`.

    The usage belongs to the hour of `occurred_at`, the end of the call.
    """

    TYPE: ClassVar[str] = "usage.recorded.v2"

    meters: CallMeters
    usage_estimated: bool = False
    """Whether `tokens_out` is estimated from the received text, because the answer broke off."""


class DatasetUploadReceived(RunsEvent):
    """The file of an upload has arrived and can be validated."""

    TYPE: ClassVar[str] = "dataset.upload_received.v1"

    dataset_id: str
    upload_id: str


class TrialEnded(RunEvent):
    """The run of a trial has ended, or waits for tools that nothing will execute."""

    TYPE: ClassVar[str] = "trial.ended.v1"

    experiment_id: str
    trial: int
    """The number of the trial within its experiment, from 0."""


class TrialScheduled(RunsEvent):
    """The budget of a trial is held, and its run can be submitted."""

    TYPE: ClassVar[str] = "trial.scheduled.v1"

    experiment_id: str
    trial: int


class ExperimentStarted(RunsEvent):
    """An experiment has started."""

    TYPE: ClassVar[str] = "experiment.started.v1"

    experiment_id: str


class ExperimentCompleted(RunsEvent):
    """An experiment has ended: its last trial has, or no further one is scheduled."""

    TYPE: ClassVar[str] = "experiment.completed.v1"

    experiment_id: str
    status: str
    reason: str | None = None
    """`budget`, `user` or `decided`, for an experiment that was stopped."""
