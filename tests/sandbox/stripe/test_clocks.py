"""Time of one customer's own."""

import pytest

from tests.infra_local.stripe.servers import Running
from tests.infra_local.stripe.shop import DAY_S, Shop, shop

MONTH_AND_DAY_S = 33 * DAY_S


@pytest.fixture
def store(stripe_: Running) -> Shop:
    """Plans to subscribe to."""
    return shop(stripe_)


def advance(store: Shop, customer: str, seconds: int) -> int:
    """Move a customer's own time; says when it is for it."""
    return store.local.control(f"customers/{customer}/clock", {"advance_s": seconds})["now"]


class TestOfACustomer:
    def test_bills_it_and_nobody_else(self, store: Shop) -> None:
        ahead, other = store.customer(), store.customer()
        for customer in (ahead, other):
            store.subscribe(customer)
        before = store.local.control("health")["now"]
        assert advance(store, ahead, MONTH_AND_DAY_S) >= before + MONTH_AND_DAY_S
        assert [len(store.invoices(customer)) for customer in (ahead, other)] == [2, 1]
        assert store.local.control("health")["now"] < before + DAY_S

    def test_goes_on_from_where_it_was(self, store: Shop) -> None:
        customer = store.customer()
        first = advance(store, customer, 10)
        assert advance(store, customer, 5) == first + 5

    def test_can_begin_before_everybody_elses(self, store: Shop) -> None:
        customer = store.customer()
        begins = advance(store, customer, -6 * 3_600)
        assert store.subscribe(customer).start_date == begins
