"""The plans, as they are sold."""

import pytest

from shared.plans import LIMITS, UNLIMITED, Plan
from shared.tenancy.permissions import Feature, effective_features


class TestLimits:
    def test_every_plan_has_them(self) -> None:
        assert set(LIMITS) == set(Plan)

    @pytest.mark.parametrize(
        ("plan", "numbers"),
        [
            (Plan.FREE, (3, 3, 1_000, 100_000, 1)),
            (Plan.PRO, (10, 50, 50_000, 2_000_000, 10)),
            (Plan.ENTERPRISE, (100, UNLIMITED, UNLIMITED, UNLIMITED, 100)),
        ],
    )
    def test_are_those_of_the_price_list(self, plan: Plan, numbers: tuple[int, ...]) -> None:
        item = LIMITS[plan].to_item()
        del item["enabled_features"]
        assert tuple(item.values()) == numbers

    @pytest.mark.parametrize(
        ("plan", "features"),
        [(Plan.FREE, {Feature.AGENTS}), (Plan.PRO, set(Feature)), (Plan.ENTERPRISE, set(Feature))],
    )
    def test_enable_the_features_of_the_plan(self, plan: Plan, features: set[Feature]) -> None:
        assert effective_features(None, LIMITS[plan].enabled_features) == features
