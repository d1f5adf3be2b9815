"""Amounts of money are exact."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.money import nano_usd


class TestNanoUsd:
    @pytest.mark.parametrize(
        ("usd", "nano"), [("0.000001", 1_000), ("29", 29_000_000_000), ("0.1", 100_000_000), ("-0.000000001", -1)]
    )
    def test_is_exact(self, usd: str, nano: int) -> None:
        assert nano_usd(usd) == nano

    @given(st.integers(-(10**18), 10**18))
    def test_round_trips(self, nano: int) -> None:
        assert nano_usd(Decimal(nano).scaleb(-9)) == nano

    @pytest.mark.parametrize("usd", ["0.0000000001", "NaN", "1e-10"])
    def test_refuses_fractions_of_a_nano_usd(self, usd: str) -> None:
        with pytest.raises(ValueError, match="whole number"):
            nano_usd(usd)
