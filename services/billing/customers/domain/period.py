"""Billing periods, and the names of their hours and months."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_SECOND = timedelta(seconds=1)
RESOLUTION = timedelta(microseconds=1)
"""Subtracted from the end of a half-open period to get the last moment within it."""


@dataclass(frozen=True, slots=True)
class BillingPeriod:
    """A half-open range of time that is billed together."""

    start: datetime
    end: datetime

    @property
    def seconds(self) -> int:
        """Return the length in whole seconds."""
        return (self.end - self.start) // _SECOND


def month_of(moment: datetime) -> BillingPeriod:
    """Return the UTC calendar month, which is the period of a tenant without a subscription."""
    start = moment.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return BillingPeriod(start, (start + timedelta(days=32)).replace(day=1))


def months_of(period: BillingPeriod) -> Iterator[datetime]:
    """Yield the starts of the UTC months that overlap the period."""
    month = month_of(period.start)
    while month.start < period.end:
        yield month.start
        month = month_of(month.end)


def hour_text(moment: datetime) -> str:
    """Format an hour as `2026-11-22T23`, in UTC."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H}"


def hour_from_text(text: str) -> datetime:
    """Parse an hour that `hour_text` formatted."""
    return datetime.strptime(text, "%Y-%m-%dT%H").replace(tzinfo=UTC)


def month_text(moment: datetime) -> str:
    """Format a month as `2026-11`, in UTC."""
    return f"{moment.astimezone(UTC):%Y-%m}"
