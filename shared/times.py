"""Moments as text: RFC 3339 in UTC, milliseconds, `Z`; they sort as they happened."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import PlainSerializer, WithJsonSchema


def utc_now() -> datetime:
    """The current time; called at the edge only, below it time is an argument."""
    return datetime.now(UTC)


def to_text(moment: datetime) -> str:
    """`2026-11-22T23:19:05.042Z`."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def from_text(text: str) -> datetime:
    """The moment that `to_text` wrote."""
    return datetime.fromisoformat(text)


def epoch(moment: datetime) -> int:
    """Whole seconds since 1970, as DynamoDB's TTL wants them."""
    return int(moment.timestamp())


Rfc3339 = Annotated[
    datetime,
    PlainSerializer(to_text),
    WithJsonSchema({"type": "string", "format": "date-time"}, mode="serialization"),
]
"""A moment in an answer."""
