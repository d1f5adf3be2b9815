"""Storage: the bytes in the bucket, integrated over time into byte hours, with one ledger entry per hour.

The byte hours of an hour are the bytes at its start for the whole hour, plus each change for the rest of the hour. They
are rounded down to whole byte hours in each hour.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from services.metering.counters.domain.amounts import Dimensions
from services.metering.counters.domain.hours import HOUR, MAX_USAGE_AGE, hour_of
from services.metering.ledger.domain.entries import LedgerEntry, Origin, UsageKind, unpriced_entry
from shared.events.envelope import Event
from shared.events.runs import ArtifactDeleted, ArtifactStored
from shared.meters import Meter

SAMPLING_DELAY = timedelta(minutes=5)
"""The time from the end of an hour to its sampling: late enough for most events to arrive, and before the hour is
closed."""

_MS = timedelta(milliseconds=1)
_HOUR_MS = HOUR // _MS


@dataclass(frozen=True, slots=True)
class StorageChange:
    """Bytes that were added or removed."""

    event_id: str
    at: datetime
    bytes: int
    """Negative if bytes were removed."""

    @property
    def hour(self) -> datetime:
        """The hour in which the change occurred."""
        return hour_of(self.at)

    @property
    def byte_ms(self) -> int:
        """The byte milliseconds that the change adds to its own hour."""
        return self.bytes * ((self.hour + HOUR - self.at) // _MS)


def change_from_event(event: Event[ArtifactStored | ArtifactDeleted]) -> StorageChange:
    """Return the change of storage that an event reports."""
    size = event.data.bytes
    return StorageChange(event.id, event.occurred_at, size if isinstance(event.data, ArtifactStored) else -size)


@dataclass(frozen=True, slots=True)
class HourlyChanges:
    """The sum of all changes of one hour."""

    bytes: int = 0
    byte_ms: int = 0

    def plus(self, change: StorageChange) -> "HourlyChanges":
        """Return the sum with another change."""
        return HourlyChanges(self.bytes + change.bytes, self.byte_ms + change.byte_ms)


@dataclass(frozen=True, slots=True)
class StorageSample:
    """The byte hours of an hour that must be counted."""

    hour: datetime
    byte_hours: int


@dataclass(frozen=True, slots=True)
class StorageState:
    """The storage of a tenant."""

    seq: int = 0
    sampled_until: datetime | None = None
    """All hours before this time are sampled; None if nothing was ever stored."""
    bytes_at_start: int = 0
    """The bytes at that time."""
    changes: Mapping[datetime, HourlyChanges] = field(default_factory=dict[datetime, HourlyChanges])
    """The changes since then, by hour."""
    sample: StorageSample | None = None
    """The last sample, until it is known to be counted."""

    @property
    def bytes_now(self) -> int:
        """The bytes in the bucket now."""
        return self.bytes_at_start + sum(change.bytes for change in self.changes.values())

    @property
    def is_quiet(self) -> bool:
        """Whether the next hours have nothing to sample."""
        return not (self.bytes_at_start or self.changes or self.sample)

    def with_change(self, change: StorageChange) -> "StorageState":
        """Return the storage after this change.

        `correction_entries` returns its effect on hours that are already sampled.
        """
        until = self.sampled_until
        if until is None or self.is_quiet:
            until = max(until or change.hour, change.hour)
        if change.hour < until:
            return replace(
                self, seq=self.seq + 1, sampled_until=until, bytes_at_start=self.bytes_at_start + change.bytes
            )
        changed = {**self.changes, change.hour: self.changes.get(change.hour, HourlyChanges()).plus(change)}
        return replace(self, seq=self.seq + 1, sampled_until=until, changes=changed)

    def next_sample(self, *, now: datetime) -> "StorageState | None":
        """Return the storage after sampling the next hour.

        The result is None if no hour ended long enough ago, or if the last sample is not counted yet.
        """
        hour = self.sampled_until
        if hour is None or self.is_quiet or self.sample or now < hour + HOUR + SAMPLING_DELAY:
            return None
        changes = self.changes.get(hour, HourlyChanges())
        byte_hours = (self.bytes_at_start * _HOUR_MS + changes.byte_ms) // _HOUR_MS
        return StorageState(
            seq=self.seq + 1,
            sampled_until=hour + HOUR,
            bytes_at_start=self.bytes_at_start + changes.bytes,
            changes={of_hour: hourly for of_hour, hourly in self.changes.items() if of_hour != hour},
            sample=StorageSample(hour, byte_hours) if byte_hours else None,
        )

    def without_sample(self) -> "StorageState":
        """Return the storage after its sample was counted."""
        return replace(self, seq=self.seq + 1, sample=None)

    @property
    def due_at(self) -> datetime | None:
        """The time of the next work; None without any."""
        if self.sampled_until is None or self.is_quiet:
            return None
        return (self.sample.hour if self.sample else self.sampled_until) + HOUR + SAMPLING_DELAY


def entry_from_sample(sample: StorageSample) -> LedgerEntry:
    """Return the ledger entry of a sample."""
    return _entry(f"storage:{sample.hour:%Y-%m-%dT%H}", sample.hour, sample.byte_hours)


def correction_entries(stored: StorageState, change: StorageChange, *, now: datetime) -> Iterator[LedgerEntry]:
    """Yield the entries by which a late change corrects hours that are already sampled."""
    if stored.sampled_until is None:
        return
    hour = max(change.hour, hour_of(now - MAX_USAGE_AGE) + HOUR)
    while hour < stored.sampled_until:
        byte_hours = change.byte_ms // _HOUR_MS if hour == change.hour else change.bytes
        if byte_hours:
            yield _entry(f"storage:{change.event_id}:{hour:%Y-%m-%dT%H}", hour, byte_hours)
        hour += HOUR


def _entry(event_id: str, hour: datetime, byte_hours: int) -> LedgerEntry:
    meters = {Meter.STORAGE_BYTE_HOURS: byte_hours}
    return unpriced_entry(event_id, at=hour, origin=Origin(UsageKind.STORAGE), dimensions=Dimensions(), meters=meters)
