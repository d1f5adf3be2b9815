"""What the metering service says."""

from typing import ClassVar

from shared.events.envelope import EventData


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
