"""A catalog of plans and its customers, created by the SDK as billing does."""

from dataclasses import dataclass
from typing import Any

import stripe

from tests.sandbox.stripe.servers import Running

DAY_S = 86_400
HOUR_S = 3600


@dataclass
class PlanPrices:
    """The prices of a plan."""

    base: str
    tokens: str


@dataclass
class PlanCatalog:
    """Two plans and a meter."""

    local: Running
    meter: str
    pro: PlanPrices
    enterprise: PlanPrices

    @property
    def client(self) -> stripe.StripeClient:
        """Return the SDK's client."""
        return self.local.client

    def customer(self, *, card: str | None = "pm_card_visa", **more: Any) -> str:  # noqa: ANN401 — the SDK's own
        """Create a customer with a card that pays."""
        arguments: Any = {"name": "Acme", "metadata": {"tenant_id": "acme"}, **more}
        created = self.client.v1.customers.create(arguments)
        if card:
            attached = self.client.v1.payment_methods.attach(card, {"customer": created.id})
            self.client.v1.customers.update(created.id, {"invoice_settings": {"default_payment_method": attached.id}})
        return created.id

    def subscribe(self, customer: str, plan: PlanPrices | None = None, **more: Any) -> stripe.Subscription:  # noqa: ANN401 — the SDK's own
        """Create a subscription to a plan."""
        of = plan or self.pro
        items: Any = [{"price": of.base}, {"price": of.tokens}]
        arguments: Any = {"customer": customer, "items": items, "metadata": {"tenant_id": "acme"}, **more}
        return self.client.v1.subscriptions.create(arguments)

    def use(self, customer: str, value: int, *, identifier: str, at: int | None = None) -> None:
        """Send a meter event."""
        arguments: Any = {
            "event_name": "ainexus_tokens_in",
            "identifier": identifier,
            "payload": {"stripe_customer_id": customer, "value": str(value)},
        }
        if at is not None:
            arguments["timestamp"] = at
        self.client.v1.billing.meter_events.create(arguments)

    def reload(self, subscription: str) -> stripe.Subscription:
        """Return the current state of a subscription."""
        return self.client.v1.subscriptions.retrieve(subscription)

    def move_clock(self, at: int) -> None:
        """Advance the clock to a time."""
        self.local.control("clock", {"advance_s": at - self.local.control("health")["now"]})

    def pass_period(self, subscription: str, *, plus_s: int = 0) -> None:
        """Advance the clock past the end of a subscription's period."""
        self.move_clock(self.reload(subscription)["items"].data[0].current_period_end + plus_s)

    def invoices(self, customer: str) -> list[stripe.Invoice]:
        """Return a customer's invoices, oldest first."""
        return list(self.client.v1.invoices.list({"customer": customer}))[::-1]


def shop(stripe_: Running) -> PlanCatalog:
    """Create the shop."""
    v1 = stripe_.client.v1
    meter = v1.billing.meters.create(
        {
            "event_name": "ainexus_tokens_in",
            "display_name": "Tokens in",
            "default_aggregation": {"formula": "sum"},
        }
    )
    return PlanCatalog(
        stripe_,
        meter.id,
        _plan(stripe_.client, "pro", meter.id, base=2_900, per_token="0.0001"),
        _plan(stripe_.client, "enterprise", meter.id, base=29_900, per_token="0.00005"),
    )


def _plan(client: stripe.StripeClient, name: str, meter: str, *, base: int, per_token: str) -> PlanPrices:
    product = client.v1.products.create({"name": f"ainexus {name}", "metadata": {"plan": name}})
    licensed = client.v1.prices.create(
        {
            "product": product.id,
            "currency": "usd",
            "unit_amount": base,
            "recurring": {"interval": "month"},
            "lookup_key": f"{name}_base",
            "metadata": {"plan": name},
        }
    )
    metered: Any = {
        "product": product.id,
        "currency": "usd",
        "unit_amount_decimal": per_token,
        "recurring": {"interval": "month", "usage_type": "metered", "meter": meter},
        "lookup_key": f"{name}_tokens_in",
        "metadata": {"plan": name},
    }
    return PlanPrices(licensed.id, client.v1.prices.create(metered).id)
