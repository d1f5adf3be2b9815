"""Events of the metering service: counted usage, closed hours and thresholds of limits."""

from datetime import datetime
from typing import Annotated, ClassVar, Literal

from pydantic import Field
from pydantic.config import JsonDict

from shared.events.envelope import EventData
from shared.meters import PUBLISHED_METERS, Meter

# The set of meters may grow, but these contracts may not, so they name theirs.
_NAMES: JsonDict = {"propertyNames": {"enum": [meter.value for meter in PUBLISHED_METERS], "type": "string"}}
LedgerMeters = Annotated[dict[Meter, int], Field(json_schema_extra=_NAMES)]


class MeteringEvent(EventData):
    """Base of the events of the metering service."""

    OWNER: ClassVar[str] = "metering"


class UsageIngested(MeteringEvent):
    """Usage that a tenant reported was counted; the subject is its id in the ledger.

    Superseded by `usage.ingested.v2` and no longer emitted. Consumers accept it while such events may be in flight.
    """

    TYPE: ClassVar[str] = "usage.ingested.v1"

    event_id: str
    """The id that the tenant chose, unique within the source."""
    source: str
    meters: LedgerMeters
    provider: str | None = None
    model: str | None = None
    agent_id: str | None = None
    project_id: str | None = None
    period: str
    """The month in which it is counted, for example `2026-11`."""


class UsageBatchIngested(MeteringEvent):
    """Usage events that a tenant reported were counted: one event for all of one month in a transaction."""

    TYPE: ClassVar[str] = "usage.ingested.v2"

    period: str
    """The month in which they are counted, for example `2026-11`."""
    meters: LedgerMeters
    """The sum over the usage events."""
    events: int
    """The number of usage events."""


class UsageSummarized(MeteringEvent):
    """The usage of a tenant in a month to date: the full state, published some seconds after it changed."""

    TYPE: ClassVar[str] = "usage.summarised.v1"
    # The spelling is part of the contract, which is frozen.

    month: str
    """The month, for example `2026-11`."""
    requests: int
    tokens: int
    """Input and output together."""
    storage_bytes: int
    """The bytes that are stored now."""


class UsageTenantClosed(MeteringEvent):
    """All hours of a tenant that is being deleted are closed."""

    TYPE: ClassVar[str] = "usage.tenant_closed.v1"


class UsageHourClosed(MeteringEvent):
    """An hour of a tenant's usage was closed. Usage that arrives later is published as corrections."""

    TYPE: ClassVar[str] = "usage.hour_closed.v1"

    hour: datetime
    """The start of the hour."""
    meters: LedgerMeters
    events: int


class UsageCorrected(MeteringEvent):
    """Usage arrived after an hour was closed, or after its last correction. The amounts are a difference to add."""

    TYPE: ClassVar[str] = "usage.corrected.v1"

    hour: datetime
    """The start of the hour."""
    rev: int
    """The revision: 1, 2, …; `seq` is one more."""
    meters: LedgerMeters
    """The amounts may be negative."""
    events: int


class QuotaThresholdReached(MeteringEvent):
    """A tenant used a percentage of a limit; published once per period, limit and percentage."""

    TYPE: ClassVar[str] = "quota.threshold_reached.v1"

    limit: Literal["max_tokens_per_month", "max_requests_per_month", "max_storage_gb"]
    period: str
    """The month, for example `2026-11`."""
    percent: Literal[50, 80, 100]
    used: int
    """Tokens, requests or stored bytes."""
    allowed: int
    """The limit, in the same unit."""
