"""Identifiers sort by the time of their creation and contain it."""

import re
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.ids import TENANT_ID, encode, first_at, is_fresh, joined, milliseconds, new_id, pattern

NOW = datetime(2026, 11, 22, 23, 19, 5, 42_999, tzinfo=UTC)
MOMENTS = st.datetimes(min_value=datetime(1970, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 — hypothesis adds the zone
BITS = st.integers(0, 2**80 - 1)
MILLISECOND = timedelta(milliseconds=1)


class TestNewId:
    def test_is_the_prefix_and_a_ulid(self) -> None:
        assert re.fullmatch(pattern("run"), new_id("run", NOW))

    def test_encodes_time_and_entropy(self) -> None:
        # 1469918176385 ms is 01ARYZ6S41 at https://github.com/ulid/spec.
        created_at = datetime(2016, 7, 30, 22, 36, 16, 385_000, tzinfo=UTC)
        assert new_id("x", created_at, entropy=lambda bits: 2**bits - 1) == "x_01ARYZ6S41" + "Z" * 16

    def test_differs_at_the_same_time(self) -> None:
        assert len({new_id("run", NOW) for _ in range(1_000)}) == 1_000

    @given(MOMENTS, MOMENTS, BITS, BITS)
    def test_sorts_by_time(self, first: datetime, second: datetime, bits: int, other_bits: int) -> None:
        if milliseconds(first) < milliseconds(second):
            assert encode(first, bits) < encode(second, other_bits)


class TestIsFresh:
    @given(MOMENTS, BITS)
    def test_accepts_an_id_created_now(self, moment: datetime, bits: int) -> None:
        assert is_fresh(f"run_{encode(moment, bits)}", now=moment)

    @pytest.mark.parametrize("seconds", [-61, 61, 86_400])
    def test_refuses_an_id_from_the_past_or_the_future(self, seconds: int) -> None:
        assert not is_fresh(f"run_{encode(NOW + timedelta(seconds=seconds), 0)}", now=NOW)

    def test_refuses_an_id_beyond_the_calendar(self) -> None:
        assert not is_fresh("agt_7" + "Z" * 25, now=NOW)


class TestFirstAt:
    @given(MOMENTS, BITS)
    def test_is_not_greater_than_any_id_of_its_millisecond(self, moment: datetime, bits: int) -> None:
        assert first_at(moment) <= encode(moment, bits)

    @given(MOMENTS.filter(lambda moment: moment > datetime(1970, 1, 2, tzinfo=UTC)), BITS)
    def test_is_greater_than_every_earlier_id(self, moment: datetime, bits: int) -> None:
        assert encode(moment - MILLISECOND, bits) < first_at(moment)

    def test_is_the_smallest_id_for_a_time_before_the_epoch(self) -> None:
        assert first_at(datetime(1960, 1, 1, tzinfo=UTC)) == "0" * 26


class TestTenantId:
    @pytest.mark.parametrize("slug", ["demo-org", "a1", "0x", "a" * 63])
    def test_accepts_slugs(self, slug: str) -> None:
        assert TENANT_ID.fullmatch(slug)

    @pytest.mark.parametrize("text", ["", "a", "-a", "Acme", "a#b", "a_b", "a/b", "a" * 64, "a\n"])
    def test_refuses_other_texts(self, text: str) -> None:
        assert not TENANT_ID.fullmatch(text)


@pytest.mark.parametrize("text", ["run_", "run_0", "run_8" + "0" * 25, "run_0" + "I" * 25, "agt_0" + "0" * 25])
def test_pattern_refuses_invalid_run_ids(text: str) -> None:
    assert not re.fullmatch(pattern("run"), text)


class TestJoined:
    @given(st.lists(st.text("ab\0\x01\x02", max_size=4), min_size=1, max_size=4).map(tuple))
    def test_differs_for_other_parts(self, parts: tuple[str, ...]) -> None:
        others = product(("", "a", "\0", "\x01", "\x02", "a\0", "\0a", "\x01\x02", "\x01\x01"), repeat=len(parts))
        assert [second for second in others if second != parts and joined(*second) == joined(*parts)] == []

    def test_preserves_the_boundaries_of_parts(self) -> None:
        assert joined("a\0b", "c") != joined("a", "b\0c") != joined("a", "b", "c")

    def test_does_not_escape_texts_without_control_characters(self) -> None:
        assert joined("/batch", "evt-1") == "/batch\0evt-1"
