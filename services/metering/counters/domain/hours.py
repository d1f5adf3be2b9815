"""Hours and their revisions: when they accept usage, and the shards that count it.

Hours, days and months are in UTC.

    revision 0    the hour itself: open from its first usage until 10 min after its end
    revision 1…   a correction: open from its first usage for 10 min
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

HOUR = timedelta(hours=1)
_HOUR_FORMAT = "%Y-%m-%dT%H"
GRACE_PERIOD = timedelta(minutes=10)
"""The time that an hour waits for late events, and the time that a correction collects them."""

MAX_USAGE_AGE = timedelta(days=35)
"""The maximum age of usage, the same as the limit of Stripe's meters.
https://docs.stripe.com/billing/subscriptions/usage-based/recording-usage"""

SHARD_COUNTS: tuple[tuple[date, int], ...] = ((date(2026, 1, 1), 4),)
"""The number of shards of an hour, by the first day on which it applies. To change it, add a line with a future day."""


ARCHIVE_DELAY = MAX_USAGE_AGE + timedelta(days=1)
"""The time from the end of a day to its archiving. The day can receive no more usage, and its ledger still exists."""


def archive_due_at(day: date) -> datetime:
    """Return the time at which this day is archived."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1) + ARCHIVE_DELAY


def hour_of(moment: datetime) -> datetime:
    """Return the start of the hour that contains this time."""
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def hour_to_text(hour: datetime) -> str:
    """Return the hour as text, for example `2026-11-22T23`."""
    return hour.isoformat(timespec="hours")[:13]


def hour_from_text(text: str) -> datetime:
    """Parse the text that `hour_to_text` returned."""
    return datetime.strptime(text, _HOUR_FORMAT).replace(tzinfo=UTC)


def shard_count(day: date) -> int:
    """Return the number of shards that the hours of this day have."""
    return next((count for start, count in reversed(SHARD_COUNTS) if start <= day), SHARD_COUNTS[0][1])


def shard_of(event_id: str, day: date) -> int:
    """Return the shard of this day that counts this event."""
    return int.from_bytes(hashlib.sha256(event_id.encode()).digest()[:8]) % shard_count(day)


def is_too_old(occurred_at: datetime, *, now: datetime) -> bool:
    """Return whether usage of this time is no longer accepted."""
    return occurred_at < now - MAX_USAGE_AGE


@dataclass(frozen=True, slots=True, order=True)
class Revision:
    """The part of an hour's usage that is closed and published together."""

    hour: datetime
    """The start of the hour."""
    number: int = 0

    @property
    def next(self) -> "Revision":
        """The revision that accepts usage after this one is closed."""
        return Revision(self.hour, self.number + 1)

    @property
    def shards(self) -> range:
        """The numbers of its shards."""
        return range(shard_count(self.hour.date()))

    def closes_at(self, *, opened_at: datetime) -> datetime:
        """Return the time at which the revision stops accepting usage. `opened_at` matters for corrections only."""
        return (opened_at if self.number else self.hour + HOUR) + GRACE_PERIOD
