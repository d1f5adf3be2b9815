"""Hours and months as keys write them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from services.billing.domain.cost import Period, month_of

SMALLEST = timedelta(microseconds=1)
"""Before the end of a half-open period there is always this moment."""


def hour_text(moment: datetime) -> str:
    """`2026-11-22T23`."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H}"


def hour_from_text(text: str) -> datetime:
    """The hour that `hour_text` wrote."""
    return datetime.strptime(text, "%Y-%m-%dT%H").replace(tzinfo=UTC)


def month_text(moment: datetime) -> str:
    """`2026-11`."""
    return f"{moment.astimezone(UTC):%Y-%m}"


def months_of(period: Period) -> Iterator[datetime]:
    """The first moments of the months that the period touches."""
    month = month_of(period.start)
    while month.start < period.end:
        yield month.start
        month = month_of(month.end)
