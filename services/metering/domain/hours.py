"""Hours: how long one takes usage, what comes after that, and the shards that share its counting.

An hour, a day and a month are always those of UTC.

    revision 0    the hour itself: open from its first usage until 10 min after its end
    revision 1…   what came later: each open from its first usage for 10 min, then added as a correction
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

HOUR = timedelta(hours=1)
GRACE = timedelta(minutes=10)
"""How long an hour waits for what is on its way, and how long a correction is collected."""

TAKEN_FOR = timedelta(days=35)
"""How old usage may be; the limit of Stripe's meters.
https://docs.stripe.com/billing/subscriptions/usage-based/recording-usage"""

SHARDS: tuple[tuple[date, int], ...] = ((date(2026, 1, 1), 4),)
"""From which day on an hour has how many shards; a change is a new line with a day to come."""


ARCHIVED_AFTER = TAKEN_FOR + timedelta(days=1)
"""How long after its end a day is archived: nothing of it can come any more, and its ledger is still there."""


def archived_at(day: date) -> datetime:
    """When this day is archived."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1) + ARCHIVED_AFTER


def hour_of(moment: datetime) -> datetime:
    """The start of the hour that this moment belongs to."""
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def shards_of(day: date) -> int:
    """How many shards the hours of this day have."""
    return next((count for start, count in reversed(SHARDS) if start <= day), SHARDS[0][1])


def shard_of(event_id: str, day: date) -> int:
    """The shard, of those of this day, that this event falls to."""
    return int.from_bytes(hashlib.sha256(event_id.encode()).digest()[:8]) % shards_of(day)


def is_too_old(occurred_at: datetime, *, now: datetime) -> bool:
    """Whether usage of this moment is not taken any more."""
    return occurred_at < now - TAKEN_FOR


@dataclass(frozen=True, slots=True, order=True)
class Revision:
    """What of an hour is closed and announced together."""

    hour: datetime
    """Its start."""
    number: int = 0

    @property
    def next(self) -> "Revision":
        """The one that takes what comes after this one is closed."""
        return Revision(self.hour, self.number + 1)

    @property
    def shards(self) -> range:
        """Its shards."""
        return range(shards_of(self.hour.date()))

    def closes_at(self, *, opened_at: datetime) -> datetime:
        """When it takes no more."""
        return (opened_at if self.number else self.hour + HOUR) + GRACE
