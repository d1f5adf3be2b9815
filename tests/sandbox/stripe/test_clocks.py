"""The separate time of one customer."""

import pytest

from tests.sandbox.stripe.servers import Running
from tests.sandbox.stripe.shop import DAY_S, PlanCatalog, shop

MONTH_AND_DAY_S = 33 * DAY_S


@pytest.fixture
def store(stripe_: Running) -> PlanCatalog:
    """Plans to subscribe to."""
    return shop(stripe_)


def advance(store: PlanCatalog, customer: str, seconds: int) -> int:
    """Advance a customer's time and return it."""
    return store.local.control(f"customers/{customer}/clock", {"advance_s": seconds})["now"]


class TestCustomerClock:
    def test_bills_only_this_customer(self, store: PlanCatalog) -> None:
        ahead, other = store.customer(), store.customer()
        for customer in (ahead, other):
            store.subscribe(customer)
        before = store.local.control("health")["now"]
        assert advance(store, ahead, MONTH_AND_DAY_S) >= before + MONTH_AND_DAY_S
        assert [len(store.invoices(customer)) for customer in (ahead, other)] == [2, 1]
        assert store.local.control("health")["now"] < before + DAY_S

    def test_continues_from_its_last_time(self, store: PlanCatalog) -> None:
        customer = store.customer()
        first = advance(store, customer, 10)
        assert advance(store, customer, 5) == first + 5

    def test_can_begin_before_the_accounts_time(self, store: PlanCatalog) -> None:
        customer = store.customer()
        begins = advance(store, customer, -6 * 3_600)
        assert store.subscribe(customer).start_date == begins
