"""Usage events that tenants report in CloudEvents format.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md
"""

import hashlib
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, ConfigDict, Field, ValidationError

from services.metering.counters.domain.amounts import Dimensions
from services.metering.counters.domain.hours import MAX_USAGE_AGE, is_too_old
from services.metering.errors import InvalidUsageEvent
from services.metering.ledger.domain.entries import LedgerEntry, Origin, UsageKind, unpriced_entry
from shared import freejson
from shared.ids import joined, milliseconds
from shared.meters import PUBLISHED_METERS, Meter
from shared.schema import DocumentedModel
from shared.times import TIMES_ONLY
from shared.validation import message_of

MAX_EVENTS_PER_REQUEST = 100
MAX_CLOCK_SKEW = timedelta(minutes=5)
"""The tolerated lead of a reporter's clock over ours."""

_MAX_AMOUNT = 10**15
"""The limit of one meter in one event, so that every consumer can represent sums exactly."""

WINDOW_S = 10
MAX_REQUESTS_PER_WINDOW = 200
"""The limit of reporting requests of one tenant per window: on average 20 requests with 2,000 events per second. It
bounds the tenant's share of the functions, and of its own partitions, each of which takes 1,000 write units per
second."""

_MAX_REASONS, _MAX_REASON_CHARS = 3, 200
"""The number of faults that the reason of a rejected event explains, and the maximum length of each."""


Name = Annotated[freejson.Line, Field(min_length=1, max_length=256)]
Amount = Annotated[int, Field(strict=True, ge=0, le=_MAX_AMOUNT)]


def _counted(meter: Meter) -> Meter:
    if meter not in PUBLISHED_METERS:
        msg = "is no meter that can be reported"
        raise ValueError(msg)
    return meter


ReportedMeter = Annotated[Meter, AfterValidator(_counted)]


class _Closed(DocumentedModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ReportedData(_Closed):
    """The amounts of a usage event, and its dimensions."""

    meters: Annotated[dict[ReportedMeter, Amount], Field(min_length=1)]
    """The amount of each meter, at least one."""
    provider: Name | None = None
    """A name of your own choice, as for the other dimensions."""
    model: Name | None = None
    agent_id: Name | None = None
    project_id: Name | None = None


class ReportedUsage(_Closed):
    """A usage event. `source` and `id` together identify it."""

    specversion: Literal["1.0"] = "1.0"
    id: Name
    """The id of the event, unique within `source`. The same event may be sent again."""
    source: Name
    """The system that reports the event."""
    type: Name
    """Not evaluated."""
    time: Annotated[AwareDatetime, TIMES_ONLY]
    """The time of the usage."""
    subject: Name | None = None
    """Not evaluated."""
    datacontenttype: Literal["application/json"] = "application/json"
    data: ReportedData


def entry_from_report(reported: object, *, now: datetime) -> LedgerEntry:
    """Validate a reported event and return its ledger entry.

    Raises:
        InvalidUsageEvent: the event is malformed, older than 35 days or in the future.
    """
    try:
        event = ReportedUsage.model_validate(reported)
    except ValidationError as error:
        raise InvalidUsageEvent(_reason_of(error)) from error
    if is_too_old(event.time, now=now):
        msg = f"time: is more than {MAX_USAGE_AGE.days} days ago"
        raise InvalidUsageEvent(msg)
    if event.time > now + MAX_CLOCK_SKEW:
        msg = "time: is in the future"
        raise InvalidUsageEvent(msg)
    # Source and id are hashed together: equal ids of different sources differ, and no report can use the id of our own
    # events.
    name = hashlib.sha256(joined(event.source, event.id).encode()).hexdigest()[:40]
    used = event.data
    return unpriced_entry(
        f"in-{name}",
        at=event.time,
        origin=Origin(UsageKind.REPORTED, source=event.source, reported_id=event.id),
        dimensions=Dimensions(used.agent_id, used.model, used.provider, used.project_id),
        meters=used.meters,
    )


def window_of(moment: datetime) -> int:
    """Return the number of the window that contains this time."""
    return milliseconds(moment) // (WINDOW_S * 1_000)


def window_ends_in_s(moment: datetime) -> int:
    """Return the seconds, rounded up, until the next window starts."""
    return WINDOW_S - milliseconds(moment) // 1_000 % WINDOW_S


def _reason_of(error: ValidationError) -> str:
    """Explain the first faults only: an event of one megabyte can have a hundred thousand."""
    faults = error.errors(include_url=False, include_input=False)
    more = [f"and {len(faults) - _MAX_REASONS:,} more"] if len(faults) > _MAX_REASONS else []
    return "; ".join([*(_reason(dict(fault)) for fault in faults[:_MAX_REASONS]), *more])


def _reason(error: dict[str, Any]) -> str:
    field = ".".join(str(part) for part in error["loc"])[:_MAX_REASON_CHARS]
    message = message_of(error)[:_MAX_REASON_CHARS]
    return f"{field}: {message}" if field else message
