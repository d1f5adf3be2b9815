"""Moments as text: RFC 3339 in UTC, milliseconds, `Z`; they sort as they happened."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated

from pydantic import PlainSerializer, WithJsonSchema

_FIRST_MONTH = 2026 * 12 + 9


def utc_now() -> datetime:
    """The current time; called at the edge only, below it time is an argument."""
    return datetime.now(UTC)


def to_text(moment: datetime) -> str:
    """`2026-11-22T23:19:05.042Z`."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def from_text(text: str) -> datetime:
    """The moment that `to_text` wrote."""
    return datetime.fromisoformat(text)


def months_until(now: datetime) -> Iterator[str]:
    """All months that anything can be of, `2026-10` first, and the one after this: clocks differ."""
    for month in range(_FIRST_MONTH, now.year * 12 + now.month + 1):
        yield f"{month // 12}-{month % 12 + 1:02}"


def epoch(moment: datetime) -> int:
    """Whole seconds since 1970, as DynamoDB's TTL wants them."""
    return int(moment.timestamp())


TIME_TEXT = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z"
"""The regular expression of what `to_text` writes."""


Rfc3339 = Annotated[
    datetime,
    PlainSerializer(to_text),
    WithJsonSchema({"type": "string", "format": "date-time"}, mode="serialization"),
]
"""A moment in an answer."""
