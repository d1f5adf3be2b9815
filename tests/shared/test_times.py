"""Conversion of times to text."""

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from shared.times import Rfc3339, epoch, from_text, to_text, utc_now

MOMENTS = st.datetimes(timezones=st.just(UTC))


class TestToText:
    def test_is_rfc_3339_truncated_to_milliseconds(self) -> None:
        assert to_text(datetime(2026, 11, 22, 23, 19, 5, 42_999, tzinfo=UTC)) == "2026-11-22T23:19:05.042Z"

    def test_is_in_utc(self) -> None:
        east = timezone(timedelta(hours=5, minutes=30))
        assert to_text(datetime(2026, 1, 1, 2, 0, tzinfo=east)) == "2025-12-31T20:30:00.000Z"

    @given(MOMENTS, MOMENTS)
    def test_sorts_by_time(self, first: datetime, second: datetime) -> None:
        if first <= second:
            assert to_text(first) <= to_text(second)

    @given(MOMENTS)
    def test_round_trips_to_the_millisecond(self, moment: datetime) -> None:
        assert from_text(to_text(moment)) == moment.replace(microsecond=moment.microsecond // 1_000 * 1_000)


def test_pydantic_uses_the_same_format() -> None:
    class TimeModel(BaseModel):
        at: Rfc3339

    assert TimeModel(at=datetime(2026, 11, 22, tzinfo=UTC)).model_dump_json() == '{"at":"2026-11-22T00:00:00.000Z"}'


def test_epoch_is_truncated_to_seconds() -> None:
    assert epoch(datetime(1970, 1, 1, 0, 1, 0, 999_999, tzinfo=UTC)) == 60


def test_now_is_in_utc() -> None:
    assert utc_now().tzinfo is UTC
