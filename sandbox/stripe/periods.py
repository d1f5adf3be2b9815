"""Periods of a subscription, in whole seconds since 1970, UTC."""

import calendar
from datetime import UTC, datetime, timedelta

_DAYS = {"day": 1, "week": 7}
_MONTHS = {"month": 1, "year": 12}


def after(anchor: int, *, interval: str, count: int) -> int:
    """Return the time `count` intervals after an anchor.

    A month keeps the anchor's day; where the month is too short it is the month's last day, and the next one
    has the anchor's day again.
    """
    moment = datetime.fromtimestamp(anchor, UTC)
    if interval in _DAYS:
        return _seconds(moment + timedelta(days=_DAYS[interval] * count))
    months = moment.year * 12 + moment.month - 1 + _MONTHS[interval] * count
    year, month = months // 12, months % 12 + 1
    day = min(moment.day, calendar.monthrange(year, month)[1])
    return _seconds(moment.replace(year=year, month=month, day=day))


def next_end(anchor: int, *, start: int, interval: str, every: int) -> int:
    """Return the end of the period that begins at `start`: the first later time on the anchor's grid."""
    count = every
    while after(anchor, interval=interval, count=count) <= start:
        count += every
    return after(anchor, interval=interval, count=count)


def _seconds(moment: datetime) -> int:
    return int((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds())
