"""Periods: a month keeps its anchor's day, and each period begins where the previous one ends."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.stripe.periods import after, next_end

ANCHORS = st.integers(1_500_000_000, 2_500_000_000)
INTERVALS = st.sampled_from(["day", "week", "month", "year"])


def seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (1, "2026-02-28T10:00:07"),
        (2, "2026-03-31T10:00:07"),
        (3, "2026-04-30T10:00:07"),
        (13, "2027-02-28T10:00:07"),
        (25, "2028-02-29T10:00:07"),
    ],
)
def test_a_short_month_ends_on_its_last_day(count: int, expected: str) -> None:
    assert after(seconds("2026-01-31T10:00:07"), interval="month", count=count) == seconds(expected)


@given(anchor=ANCHORS, interval=INTERVALS, every=st.integers(1, 3), periods=st.integers(1, 30))
def test_periods_have_neither_gaps_nor_overlaps(anchor: int, interval: str, every: int, periods: int) -> None:
    start = anchor
    for index in range(1, periods + 1):
        end = next_end(anchor, start=start, interval=interval, every=every)
        assert end == after(anchor, interval=interval, count=index * every)
        assert end > start
        start = end
