"""What the runs service says: the life of a run, and what each call to a provider used."""

from datetime import datetime
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field
from pydantic.config import JsonDict

from shared.events.envelope import EventData
from shared.meters import OF_CALLS, Meter


def _of_calls(meters: dict[Meter, int]) -> dict[Meter, int]:
    if not meters.keys() <= set(OF_CALLS):
        msg = "a call does not use all of these meters"
        raise ValueError(msg)
    return meters


# The catalogue of meters grows; this contract does not, so it names those of a call.
_NAMES: JsonDict = {"propertyNames": {"enum": [meter.value for meter in OF_CALLS], "type": "string"}}
CallMeters = Annotated[dict[Meter, int], AfterValidator(_of_calls), Field(json_schema_extra=_NAMES)]


class RunsEvent(EventData):
    """The owner of these events."""

    OWNER: ClassVar[str] = "runs"


class TenantRunsStopped(RunsEvent):
    """No run of a tenant that is being deleted is under way any more, and none will be."""

    TYPE: ClassVar[str] = "tenant.runs_stopped.v1"


class RunEvent(RunsEvent):
    """An event of one run."""

    run_id: str


class RunQueued(RunEvent):
    """The run waits for a worker."""

    TYPE: ClassVar[str] = "run.queued.v1"


class RunEnded(RunEvent):
    """How a run ended; this never changes."""

    agent_id: str
    version: int
    project_id: str | None = None
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime
    attempts: int


class RunCompleted(RunEnded):
    """The run has an answer."""

    TYPE: ClassVar[str] = "run.completed.v1"


class RunFailed(RunEnded):
    """The run ended without an answer."""

    TYPE: ClassVar[str] = "run.failed.v1"

    error_code: str


class RunCancelled(RunEnded):
    """The client did not want the answer any more."""

    TYPE: ClassVar[str] = "run.cancelled.v1"


class ArtifactEvent(RunEvent):
    """Something large that was written for a run and lies in the bucket."""

    artifact_id: str
    """Its name within the run."""
    bytes: int


class ArtifactStored(ArtifactEvent):
    """It lies there from now on."""

    TYPE: ClassVar[str] = "artifact.stored.v1"


class ArtifactDeleted(ArtifactEvent):
    """It lies there no more."""

    TYPE: ClassVar[str] = "artifact.deleted.v1"


class ArtifactDownloaded(ArtifactEvent):
    """An address to download it from was given out."""

    TYPE: ClassVar[str] = "artifact.downloaded.v1"

    agent_id: str
    project_id: str | None = None


class UsageRecorded(RunEvent):
    """What one call used, counted by its provider; said once per call, id `<run>:<attempt>:<call>`.

    Its hour is that of `occurred_at`, the call's end.
    """

    TYPE: ClassVar[str] = "usage.recorded.v1"

    attempt: int
    call: int
    request_id: str
    """Of the POST that made the run."""
    agent_id: str
    version: int
    project_id: str | None = None
    provider: str
    model: str
    meters: CallMeters
    cost_nano_usd: int | None = None
    """The provider's list price; None where it is not known, never 0 for that."""
    price_version: str | None = None
    simulated: bool
    period: str
    """The month that the call is counted in, `2026-11`."""
