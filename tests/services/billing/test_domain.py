"""The rules of customers."""

from services.billing.domain import BillingMode, Customer, customer_of
from shared.plans import Plan
from tests.services.billing.tenants import AT, created


class TestCustomerOf:
    def test_a_new_tenant_is_billed_by_hand(self) -> None:
        expected = Customer("demo-org", Plan.ENTERPRISE, BillingMode.MANUAL, created_at=AT, seq=1)
        assert customer_of(created(plan=Plan.ENTERPRISE, seq=3)) == expected
