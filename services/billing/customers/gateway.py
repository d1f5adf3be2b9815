"""The gateway to Stripe's customers."""

from typing import Protocol

from services.billing.stripe_api.gateway.client import translate_errors
from services.billing.stripe_api.gateway.objects import TENANT, StripeGateway, nested, read_or_none


class CustomerGateway(Protocol):
    """Customers at Stripe.

    Every method of this gateway and of all others to Stripe raises `PaymentsUnavailable` if Stripe does not respond, is
    busy or does not accept the API key. It raises `RejectedByStripe` if Stripe rejects this request and would reject it
    again.
    """

    def create_customer(self, tenant_id: str) -> str:
        """Create the tenant's customer and return its id. Idempotent."""
        ...

    def tenant_of(self, customer_id: str) -> str | None:
        """Return the tenant for which a customer was created, or None if the customer is deleted or is not ours."""
        ...


class StripeCustomerGateway(StripeGateway):
    """See `CustomerGateway`."""

    def create_customer(self, tenant_id: str) -> str:
        """See `CustomerGateway.create_customer`."""
        with translate_errors():
            customer = self._client.customers.create(
                {"name": tenant_id, "metadata": {TENANT: tenant_id}}, {"idempotency_key": f"customer:{tenant_id}"}
            )
        return str(customer.id)

    def tenant_of(self, customer_id: str) -> str | None:
        """See `CustomerGateway.tenant_of`."""
        customer = read_or_none(lambda: self._client.customers.retrieve(customer_id))
        return None if customer is None or customer.get("deleted") else nested(customer, "metadata").get(TENANT)
