"""Usage that a tenant reports itself, in the shape of CloudEvents.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md
"""

import hashlib
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from services.metering.domain.hours import TAKEN_FOR, is_too_old
from services.metering.domain.usage import Dimensions, Entry, Kind, Origin, unpriced_entry
from services.metering.errors import NotTaken
from shared.events.envelope import Event, happened
from shared.events.metering import UsageBatchIngested
from shared.ids import joined, milliseconds
from shared.meters import Meter, total

MOST_AT_ONCE = 100
AHEAD = timedelta(minutes=5)
"""How far a reporter's clock may be ahead of ours."""

_MOST = 10**15
"""Of one meter in one event, so that sums stay exact wherever they are read."""

WINDOW_S = 10
MAX_REQUESTS_PER_WINDOW = 200
"""Requests that one tenant may report usage with in a window: on the average 20 a second with 2,000 events. It is the
tenant's share of the functions and of its own partitions, each of which takes 1,000 write units a second."""

_REASONS, _REASON_CHARS = 3, 200
"""How many faults of an event are explained, and the length of each explanation."""


def _printable(text: str) -> str:
    if any(unicodedata.category(character) == "Cc" for character in text):
        msg = "must not contain control characters"
        raise ValueError(msg)
    return text


Name = Annotated[str, Field(min_length=1, max_length=256), AfterValidator(_printable)]
Amount = Annotated[int, Field(strict=True, ge=0, le=_MOST)]


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ReportedData(_Closed):
    """What was used, and by whom."""

    meters: Annotated[dict[Meter, Amount], Field(min_length=1)]
    provider: Name | None = None
    model: Name | None = None
    agent_id: Name | None = None
    project_id: Name | None = None


class ReportedUsage(_Closed):
    """One usage event; `source` and `id` together are unique."""

    specversion: Literal["1.0"] = "1.0"
    id: Name
    source: Name
    type: Name
    time: AwareDatetime
    """When it was used."""
    subject: Name | None = None
    datacontenttype: Literal["application/json"] = "application/json"
    data: ReportedData


def entry_of_report(reported: object, *, now: datetime) -> Entry:
    """The entry that this makes.

    Raises:
        NotTaken: it is not what is asked for, older than 35 days, or of the future.
    """
    try:
        said = ReportedUsage.model_validate(reported)
    except ValidationError as error:
        raise NotTaken(_reason_of(error)) from error
    if is_too_old(said.time, now=now):
        msg = f"time: is more than {TAKEN_FOR.days} days ago"
        raise NotTaken(msg)
    if said.time > now + AHEAD:
        msg = "time: is in the future"
        raise NotTaken(msg)
    # Hashed together, so that ids of different sources are different, and none is one of our own.
    name = hashlib.sha256(joined(said.source, said.id).encode()).hexdigest()[:40]
    used = said.data
    return unpriced_entry(
        f"in-{name}",
        at=said.time,
        origin=Origin(Kind.REPORTED, source=said.source, reported_id=said.id),
        dimensions=Dimensions(used.agent_id, used.model, used.provider, used.project_id),
        meters=used.meters,
    )


def window_of(moment: datetime) -> int:
    """Return the number of the window that this moment belongs to."""
    return milliseconds(moment) // (WINDOW_S * 1_000)


def window_ends_in_s(moment: datetime) -> int:
    """Return the seconds, rounded up, until the next window begins."""
    return WINDOW_S - milliseconds(moment) // 1_000 % WINDOW_S


def _reason_of(error: ValidationError) -> str:
    """Explain the first faults; an event of a megabyte may have a hundred thousand."""
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    more = [f"and {len(faults) - _REASONS:,} more"] if len(faults) > _REASONS else []
    return "; ".join([*(_reason(dict(fault)) for fault in faults[:_REASONS]), *more])


def _reason(error: dict[str, Any]) -> str:
    place = ".".join(str(part) for part in error["loc"])[:_REASON_CHARS]
    message = str(error["msg"])[:_REASON_CHARS].removeprefix("Value error, ")
    return f"{place}: {message}" if place else message


def announcements(tenant_id: str, entries: Iterable[Entry], *, at: datetime) -> list[Event[UsageBatchIngested]]:
    """Make the events about entries that are counted together: one for each month, whatever their number.

    An entry is counted in one transaction only, so the ids of the entries name the event.
    """
    by_period: dict[str, list[Entry]] = {}
    for entry in entries:
        by_period.setdefault(entry.period, []).append(entry)
    return [_announcement(tenant_id, period, together, at=at) for period, together in sorted(by_period.items())]


def _announcement(tenant_id: str, period: str, entries: Sequence[Entry], *, at: datetime) -> Event[UsageBatchIngested]:
    names = joined(*sorted(entry.event_id for entry in entries))
    batch_id = f"in-{hashlib.sha256(names.encode()).hexdigest()[:40]}"
    payload = UsageBatchIngested(period=period, meters=total(*(entry.meters for entry in entries)), events=len(entries))
    event_id = f"{tenant_id}:{batch_id}:ingested"
    return happened(payload, event_id=event_id, tenant_id=tenant_id, subject=batch_id, seq=1, at=at)
