"""What the metering service says."""

from datetime import datetime
from typing import ClassVar

from shared.events.envelope import EventData
from shared.meters import Meter


class MeteringEvent(EventData):
    """The owner of these events."""

    OWNER: ClassVar[str] = "metering"


class UsageHourClosed(MeteringEvent):
    """What a tenant has used in an hour that is over; the subject is the hour."""

    TYPE: ClassVar[str] = "usage.hour_closed.v1"

    hour: datetime
    """Its start."""
    meters: dict[Meter, int]
    events: int


class UsageCorrected(MeteringEvent):
    """What is to be added to an hour that was closed before; `seq` is `rev` + 1."""

    TYPE: ClassVar[str] = "usage.corrected.v1"

    hour: datetime
    """Its start."""
    rev: int
    """Counts the corrections of the hour, from 1."""
    meters: dict[Meter, int]
    """The difference, which may be negative."""
    events: int


class UsageTenantClosed(MeteringEvent):
    """All hours of a tenant that is being deleted are closed."""

    TYPE: ClassVar[str] = "usage.tenant_closed.v1"
