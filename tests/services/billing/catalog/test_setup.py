"""Setup of the price list."""

import pytest

from services.billing.catalog.domain import SetupAction, StripePrice, plan_setup
from services.billing.catalog.operations import set_up
from services.billing.errors import PriceInUse
from tests.services.billing.fakes import FakeCatalog


def catalog_with(picocents: int, *, in_use: bool) -> FakeCatalog:
    """Return a complete price list with one different price."""
    catalog = FakeCatalog()
    set_up(catalog)
    catalog.prices["ainexus_pro_base"] = StripePrice("price_old", picocents, in_use=in_use)
    catalog.changes.clear()
    return catalog


class TestSetUp:
    def test_creates_meters_and_products_before_prices(self) -> None:
        catalog = FakeCatalog()
        set_up(catalog)
        assert catalog.changes == [
            "meter ainexus_tokens_in",
            "meter ainexus_tokens_out",
            "meter ainexus_storage_mb_hours",
            "meter ainexus_egress_bytes",
            "product pro",
            "product enterprise",
            *(
                f"add ainexus_{plan}_{item}"
                for plan in ("pro", "enterprise")
                for item in ("base", "tokens_in", "tokens_out", "storage_mb_hours", "egress_bytes")
            ),
        ]

    def test_is_idempotent(self) -> None:
        catalog = FakeCatalog()
        set_up(catalog)
        catalog.changes.clear()
        assert {step.action for step in set_up(catalog)} == {SetupAction.SAME}
        assert catalog.changes == []

    def test_a_dry_run_changes_nothing(self) -> None:
        catalog = FakeCatalog()
        assert {step.action for step in set_up(catalog, dry_run=True)} == {SetupAction.ADD}
        assert catalog.changes == []

    def test_replaces_an_unused_price(self) -> None:
        catalog = catalog_with(1, in_use=False)
        set_up(catalog)
        assert catalog.changes == ["replace ainexus_pro_base"]

    def test_changes_nothing_if_a_price_in_use_differs(self) -> None:
        catalog = catalog_with(1, in_use=True)
        catalog.meters.clear()
        with pytest.raises(PriceInUse, match="ainexus_pro_base"):
            set_up(catalog)
        assert catalog.changes == []
        [refused] = [step for step in plan_setup(catalog.catalog()) if step.action is SetupAction.REFUSE]
        assert refused.detail == "1 → 2900000000000000 picocents"
