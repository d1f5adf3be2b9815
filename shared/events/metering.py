"""What the metering service says: what is counted, when an hour is final, and how near a limit is."""

from datetime import datetime
from typing import ClassVar, Literal

from shared.events.envelope import EventData
from shared.meters import Meter


class MeteringEvent(EventData):
    """The owner of these events."""

    OWNER: ClassVar[str] = "metering"


class UsageIngested(MeteringEvent):
    """Usage that a tenant reported itself was counted; the subject is its id in the ledger.

    Superseded by `usage.ingested.v2`: nothing emits it any more. It is consumed as long as some may be in flight.
    """

    TYPE: ClassVar[str] = "usage.ingested.v1"

    event_id: str
    """As the tenant named it, unique within the source."""
    source: str
    meters: dict[Meter, int]
    provider: str | None = None
    model: str | None = None
    agent_id: str | None = None
    project_id: str | None = None
    period: str
    """The month that it is counted in, `2026-11`."""


class UsageBatchIngested(MeteringEvent):
    """Usage events that a tenant reported were counted together; one event for all of a month in a transaction."""

    TYPE: ClassVar[str] = "usage.ingested.v2"

    period: str
    """The month that they are counted in, `2026-11`."""
    meters: dict[Meter, int]
    """The sum of the events."""
    events: int
    """How many there are."""


class UsageSummarised(MeteringEvent):
    """What a tenant has used in a month so far: the full state, said some seconds after it changed."""

    TYPE: ClassVar[str] = "usage.summarised.v1"

    month: str
    """`2026-11`."""
    requests: int
    tokens: int
    """Input and output together."""
    storage_bytes: int
    """What is stored now."""


class UsageTenantClosed(MeteringEvent):
    """All hours of a tenant that is being deleted are closed."""

    TYPE: ClassVar[str] = "usage.tenant_closed.v1"


class UsageHourClosed(MeteringEvent):
    """What a tenant used in an hour; what comes later is said as corrections."""

    TYPE: ClassVar[str] = "usage.hour_closed.v1"

    hour: datetime
    """Its start."""
    meters: dict[Meter, int]
    events: int


class UsageCorrected(MeteringEvent):
    """What came after an hour was closed, or after its last correction: a difference, to be added."""

    TYPE: ClassVar[str] = "usage.corrected.v1"

    hour: datetime
    """Its start."""
    rev: int
    """1, 2, …; `seq` is one more."""
    meters: dict[Meter, int]
    """May be negative."""
    events: int


class QuotaThresholdReached(MeteringEvent):
    """A part of a limit is used up; said once per period, limit and percentage."""

    TYPE: ClassVar[str] = "quota.threshold_reached.v1"

    limit: Literal["max_tokens_per_month", "max_requests_per_month", "max_storage_gb"]
    period: str
    """The month, `2026-11`."""
    percent: Literal[50, 80, 100]
    used: int
    """Tokens, requests, or stored bytes."""
    allowed: int
    """In the same unit."""
