"""Setting up the price list."""

import pytest

from services.billing.domain.catalogue import Difference, FoundPrice, compare
from services.billing.errors import PriceInUse
from services.billing.gateways.fake_payments import FakeShelf
from services.billing.operations.setup import set_up


def shelf_with(picocents: int, *, in_use: bool) -> FakeShelf:
    """A complete price list in which one price is another."""
    made = FakeShelf()
    set_up(made)
    made.prices["ainexus_pro_base"] = FoundPrice("price_old", picocents, in_use=in_use)
    made.done.clear()
    return made


class TestSetUp:
    def test_makes_what_the_plans_say_in_an_order_that_works(self) -> None:
        shelf = FakeShelf()
        set_up(shelf)
        assert shelf.done == [
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

    def test_done_again_does_nothing(self) -> None:
        shelf = FakeShelf()
        set_up(shelf)
        shelf.done.clear()
        assert {step.difference for step in set_up(shelf)} == {Difference.SAME}
        assert shelf.done == []

    def test_to_look_does_nothing(self) -> None:
        shelf = FakeShelf()
        assert {step.difference for step in set_up(shelf, only_look=True)} == {Difference.ADD}
        assert shelf.done == []

    def test_a_price_of_nobody_is_replaced(self) -> None:
        shelf = shelf_with(1, in_use=False)
        set_up(shelf)
        assert shelf.done == ["replace ainexus_pro_base"]

    def test_a_price_in_use_stops_everything(self) -> None:
        shelf = shelf_with(1, in_use=True)
        shelf.meters.clear()
        with pytest.raises(PriceInUse, match="ainexus_pro_base"):
            set_up(shelf)
        assert shelf.done == []
        [refused] = [step for step in compare(shelf.catalogue()) if step.difference is Difference.REFUSE]
        assert refused.detail == "1 → 2900000000000000 picocents"
