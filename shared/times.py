"""Times as text: RFC 3339 in UTC with milliseconds and `Z`, so that they sort by time."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

_FIRST_MONTH = 2026 * 12 + 9


def utc_now() -> datetime:
    """Return the current time. Only entry points call this; all other code receives the time as an argument."""
    return datetime.now(UTC)


def to_text(moment: datetime) -> str:
    """Return a time as text, for example `2026-11-22T23:19:05.042Z`."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def from_text(text: str) -> datetime:
    """Return the time that `to_text` wrote."""
    return datetime.fromisoformat(text)


def months_until(now: datetime) -> Iterator[str]:
    """Yield all months that can have data: from `2026-10` to the next month, since clocks differ."""
    for month in range(_FIRST_MONTH, now.year * 12 + now.month + 1):
        yield f"{month // 12}-{month % 12 + 1:02}"


def epoch(moment: datetime) -> int:
    """Return whole seconds since 1970, the format of DynamoDB's TTL."""
    return int(moment.timestamp())


TIME_TEXT = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z"
"""The regular expression that matches the output of `to_text`."""


Rfc3339 = Annotated[
    datetime,
    PlainSerializer(to_text),
    WithJsonSchema({"type": "string", "format": "date-time"}, mode="serialization"),
]
"""A time in a response."""


def _is_time_text(value: object) -> object:
    if isinstance(value, datetime) or (isinstance(value, str) and _TIME_INPUT.fullmatch(value)):
        return value
    msg = "must be a time with its time zone, such as 2026-11-22T23:19:05Z"
    raise ValueError(msg)


_TIME_INPUT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)

TIMES_ONLY = BeforeValidator(_is_time_text)
"""For a field with a time in a request: refuses numbers and dates, which pydantic would interpret as times."""
