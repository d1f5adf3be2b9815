"""What the metering service says: what is counted, when an hour is final, and how near a limit is."""

from typing import ClassVar

from shared.events.envelope import EventData
from shared.meters import Meter


class MeteringEvent(EventData):
    """The owner of these events."""

    OWNER: ClassVar[str] = "metering"


class UsageSummarised(MeteringEvent):
    """What a tenant has used in a month so far; the full state, said again when it has changed."""

    TYPE: ClassVar[str] = "usage.summarised.v1"

    month: str
    """`2026-11`; the subject."""
    requests: int
    tokens: int
    """Input and output together."""
    storage_bytes: int
    """What is stored now."""


class UsageTenantClosed(MeteringEvent):
    """All hours of a tenant that is being deleted are closed."""

    TYPE: ClassVar[str] = "usage.tenant_closed.v1"


class UsageIngested(MeteringEvent):
    """Usage that a tenant reported itself was counted; the subject is its id in the ledger."""

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
