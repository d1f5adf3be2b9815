"""The limits and prices of the plans."""

import pytest

from shared.money import nano_usd
from shared.plans import LIMITS, PRICES, UNLIMITED, Plan, Prices
from shared.tenancy.permissions import Feature, effective_features


class TestLimits:
    def test_exist_for_every_plan(self) -> None:
        assert set(LIMITS) == set(Plan)

    @pytest.mark.parametrize(
        ("plan", "numbers"),
        [
            (Plan.FREE, (3, 3, 1_000, 100_000, 1, 5)),
            (Plan.PRO, (10, 50, 50_000, 2_000_000, 10, 50)),
            (Plan.ENTERPRISE, (100, UNLIMITED, UNLIMITED, UNLIMITED, 100, 500)),
        ],
    )
    def test_equal_the_price_list(self, plan: Plan, numbers: tuple[int, ...]) -> None:
        item = LIMITS[plan].to_item()
        del item["enabled_features"]
        assert tuple(item.values()) == numbers

    @pytest.mark.parametrize(
        ("plan", "features"),
        [(Plan.FREE, {Feature.AGENTS}), (Plan.PRO, set(Feature)), (Plan.ENTERPRISE, set(Feature))],
    )
    def test_enable_the_features_of_the_plan(self, plan: Plan, features: set[Feature]) -> None:
        assert effective_features(None, LIMITS[plan].enabled_features) == features


class TestPrices:
    def test_of_the_free_plan_are_zero(self) -> None:
        assert PRICES[Plan.FREE] == Prices()

    @pytest.mark.parametrize(
        ("plan", "base_usd", "metered_usd"),
        [
            (Plan.PRO, 29, ("0.000001", "0.000002", "0.10", "0.05")),
            (Plan.ENTERPRISE, 299, ("0.0000005", "0.000001", "0.05", "0.02")),
        ],
    )
    def test_equal_the_price_list(self, plan: Plan, base_usd: int, metered_usd: tuple[str, ...]) -> None:
        assert PRICES[plan] == Prices(base_usd * 100, *(nano_usd(price) for price in metered_usd))
