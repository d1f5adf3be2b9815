"""Storage: what lies in the bucket, integrated over time into byte hours, one entry of the ledger for each hour.

An hour's byte hours are what lay there at its start for the whole hour, and what changed in it from then on. They are
rounded down to whole byte hours in each hour.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from services.metering.domain.hours import HOUR, TAKEN_FOR, hour_of
from services.metering.domain.usage import Dimensions, Entry, Kind, Origin, unpriced_entry
from shared.meters import Meter

SAMPLED_AFTER = timedelta(minutes=5)
"""How long after its end an hour is worked out: before it is closed, and after what is on its way has mostly come."""

_MS = timedelta(milliseconds=1)
_HOUR_MS = HOUR // _MS


@dataclass(frozen=True, slots=True)
class Change:
    """Bytes that came or went."""

    event_id: str
    at: datetime
    bytes: int
    """Negative when they went."""

    @property
    def hour(self) -> datetime:
        """The hour that it happened in."""
        return hour_of(self.at)

    @property
    def byte_ms(self) -> int:
        """What it adds to its own hour, in byte milliseconds."""
        return self.bytes * ((self.hour + HOUR - self.at) // _MS)


@dataclass(frozen=True, slots=True)
class Changes:
    """All changes of one hour."""

    bytes: int = 0
    byte_ms: int = 0

    def plus(self, change: Change) -> "Changes":
        """With another one."""
        return Changes(self.bytes + change.bytes, self.byte_ms + change.byte_ms)


@dataclass(frozen=True, slots=True)
class Sample:
    """The byte hours of an hour that are to be counted."""

    hour: datetime
    byte_hours: int


@dataclass(frozen=True, slots=True)
class Stored:
    """What a tenant has in the bucket."""

    seq: int = 0
    sampled_until: datetime | None = None
    """The hours before it are worked out; None: nothing was ever stored."""
    bytes_then: int = 0
    """What lay there at that moment."""
    changes: Mapping[datetime, Changes] = field(default_factory=dict[datetime, Changes])
    """By hour, since then."""
    sample: Sample | None = None
    """Worked out, and not known to be counted."""

    @property
    def bytes_now(self) -> int:
        """What lies there."""
        return self.bytes_then + sum(change.bytes for change in self.changes.values())

    @property
    def is_quiet(self) -> bool:
        """Whether there is nothing to work out in the hours to come."""
        return not (self.bytes_then or self.changes or self.sample)

    def with_change(self, change: Change) -> "Stored":
        """After this change; what it means for hours that are worked out already is said by `corrections`."""
        until = self.sampled_until
        if until is None or self.is_quiet:
            until = max(until or change.hour, change.hour)
        if change.hour < until:
            return replace(self, seq=self.seq + 1, sampled_until=until, bytes_then=self.bytes_then + change.bytes)
        changed = {**self.changes, change.hour: self.changes.get(change.hour, Changes()).plus(change)}
        return replace(self, seq=self.seq + 1, sampled_until=until, changes=changed)

    def next_sample(self, *, now: datetime) -> "Stored | None":
        """With the next hour worked out; None when none has ended long enough ago, or the last is not counted yet."""
        hour = self.sampled_until
        if hour is None or self.is_quiet or self.sample or now < hour + HOUR + SAMPLED_AFTER:
            return None
        changes = self.changes.get(hour, Changes())
        byte_hours = (self.bytes_then * _HOUR_MS + changes.byte_ms) // _HOUR_MS
        return Stored(
            seq=self.seq + 1,
            sampled_until=hour + HOUR,
            bytes_then=self.bytes_then + changes.bytes,
            changes={when: one for when, one in self.changes.items() if when != hour},
            sample=Sample(hour, byte_hours) if byte_hours else None,
        )

    def counted(self) -> "Stored":
        """With its sample counted."""
        return replace(self, seq=self.seq + 1, sample=None)

    @property
    def due_at(self) -> datetime | None:
        """When there is something to do; None: nothing."""
        if self.sampled_until is None or self.is_quiet:
            return None
        return (self.sample.hour if self.sample else self.sampled_until) + HOUR + SAMPLED_AFTER


def entry_of(sample: Sample) -> Entry:
    """The entry of an hour."""
    return _entry(f"storage:{sample.hour:%Y-%m-%dT%H}", sample.hour, sample.byte_hours)


def corrections(stored: Stored, change: Change, *, now: datetime) -> Iterator[Entry]:
    """The entries by which a change that comes late corrects hours that are worked out already."""
    if stored.sampled_until is None:
        return
    hour = max(change.hour, hour_of(now - TAKEN_FOR) + HOUR)
    while hour < stored.sampled_until:
        byte_hours = change.byte_ms // _HOUR_MS if hour == change.hour else change.bytes
        if byte_hours:
            yield _entry(f"storage:{change.event_id}:{hour:%Y-%m-%dT%H}", hour, byte_hours)
        hour += HOUR


def _entry(event_id: str, hour: datetime, byte_hours: int) -> Entry:
    meters = {Meter.STORAGE_BYTE_HOURS: byte_hours}
    return unpriced_entry(event_id, at=hour, origin=Origin(Kind.STORAGE), dimensions=Dimensions(), meters=meters)
