"""Prices to the twelfth decimal of a cent."""

from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.billing.catalog.domain import (
    PICOCENTS_PER_CENT,
    BilledMeter,
    cents,
    format_cents,
    is_metered,
    nano_usd,
    unit_picocents,
)
from shared.meters import Meter
from shared.plans import Plan

PRICES = st.integers(0, 10**14)
QUANTITIES = st.integers(0, 10**15)


class TestUnitPrice:
    @pytest.mark.parametrize(
        ("plan", "decimals"),
        [
            (Plan.PRO, ("0.0001", "0.0002", "0.00001369863", "0.000000005")),
            (Plan.ENTERPRISE, ("0.00005", "0.0001", "0.000006849315", "0.000000002")),
            (Plan.FREE, ("0", "0", "0", "0")),
        ],
    )
    def test_matches_the_price_list_in_cents(self, plan: Plan, decimals: tuple[str, ...]) -> None:
        assert tuple(format_cents(unit_picocents(plan, meter)) for meter in BilledMeter) == decimals

    def test_only_paid_plans_are_metered(self) -> None:
        assert [plan for plan in Plan if is_metered(plan)] == [Plan.PRO, Plan.ENTERPRISE]

    def test_a_gigabyte_month_is_exact_to_a_hundredth_of_a_cent(self) -> None:
        price = unit_picocents(Plan.PRO, BilledMeter.STORAGE_MB_HOURS)
        assert abs(730 * 1_000 * price - 10 * PICOCENTS_PER_CENT) < PICOCENTS_PER_CENT // 100

    @given(PRICES)
    def test_formats_the_exact_decimal(self, picocents: int) -> None:
        assert Decimal(format_cents(picocents)) * PICOCENTS_PER_CENT == picocents


class TestAmount:
    @given(QUANTITIES, PRICES)
    def test_rounds_the_exact_product_once_halves_up(self, quantity: int, picocents: int) -> None:
        exact = Decimal(quantity * picocents).scaleb(-12)
        assert cents(quantity, picocents=picocents) == int(exact.quantize(Decimal(1), rounding=ROUND_HALF_UP))

    @given(QUANTITIES, PRICES)
    def test_is_within_half_a_cent_of_the_nano_usd(self, quantity: int, picocents: int) -> None:
        difference = nano_usd(quantity, picocents=picocents) - cents(quantity, picocents=picocents) * 10**7
        assert abs(difference) <= 5 * 10**6 + 1

    def test_is_zero_for_a_negative_quantity(self) -> None:
        assert (cents(-5, picocents=10**12), nano_usd(-5, picocents=10**12)) == (0, 0)


class TestMeters:
    def test_each_has_a_source_meter(self) -> None:
        assert [meter.source for meter in BilledMeter] == [
            Meter.TOKENS_IN,
            Meter.TOKENS_OUT,
            Meter.STORAGE_BYTE_HOURS,
            Meter.EGRESS_BYTES,
        ]

    def test_each_has_an_event_name(self) -> None:
        assert BilledMeter.TOKENS_IN.event_name == "ainexus_tokens_in"
        assert BilledMeter.STORAGE_MB_HOURS.event_name == "ainexus_storage_mb_hours"
