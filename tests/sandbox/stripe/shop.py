"""A catalogue of plans, and customers on it, made by the SDK as billing makes them."""

from dataclasses import dataclass
from typing import Any

import stripe

from tests.infra_local.stripe.servers import Running

DAY_S = 86_400
HOUR_S = 3600


@dataclass
class Plan:
    """A plan's prices."""

    base: str
    tokens: str


@dataclass
class Shop:
    """Two plans and a meter."""

    local: Running
    meter: str
    pro: Plan
    enterprise: Plan

    @property
    def client(self) -> stripe.StripeClient:
        """The SDK."""
        return self.local.client

    def customer(self, *, card: str | None = "pm_card_visa", **more: Any) -> str:  # noqa: ANN401 — the SDK's own
        """A customer, with a card that pays."""
        given: Any = {"name": "Acme", "metadata": {"tenant_id": "acme"}, **more}
        made = self.client.v1.customers.create(given)
        if card:
            attached = self.client.v1.payment_methods.attach(card, {"customer": made.id})
            self.client.v1.customers.update(made.id, {"invoice_settings": {"default_payment_method": attached.id}})
        return made.id

    def subscribe(self, customer: str, plan: Plan | None = None, **more: Any) -> stripe.Subscription:  # noqa: ANN401 — the SDK's own
        """A subscription to a plan."""
        of = plan or self.pro
        items: Any = [{"price": of.base}, {"price": of.tokens}]
        given: Any = {"customer": customer, "items": items, "metadata": {"tenant_id": "acme"}, **more}
        return self.client.v1.subscriptions.create(given)

    def use(self, customer: str, value: int, *, identifier: str, at: int | None = None) -> None:
        """A meter event."""
        given: Any = {
            "event_name": "ainexus_tokens_in",
            "identifier": identifier,
            "payload": {"stripe_customer_id": customer, "value": str(value)},
        }
        if at is not None:
            given["timestamp"] = at
        self.client.v1.billing.meter_events.create(given)

    def reload(self, subscription: str) -> stripe.Subscription:
        """A subscription as it is now."""
        return self.client.v1.subscriptions.retrieve(subscription)

    def move_clock(self, at: int) -> None:
        """Move the clock to a moment."""
        self.local.control("clock", {"advance_s": at - self.local.control("health")["now"]})

    def pass_period(self, subscription: str, *, plus_s: int = 0) -> None:
        """Move the clock to the end of a subscription's period, and on."""
        self.move_clock(self.reload(subscription)["items"].data[0].current_period_end + plus_s)

    def invoices(self, customer: str) -> list[stripe.Invoice]:
        """A customer's invoices, oldest first."""
        return list(self.client.v1.invoices.list({"customer": customer}))[::-1]


def shop(stripe_: Running) -> Shop:
    """The shop."""
    v1 = stripe_.client.v1
    meter = v1.billing.meters.create(
        {
            "event_name": "ainexus_tokens_in",
            "display_name": "Tokens in",
            "default_aggregation": {"formula": "sum"},
        }
    )
    return Shop(
        stripe_,
        meter.id,
        _plan(stripe_.client, "pro", meter.id, base=2_900, per_token="0.0001"),
        _plan(stripe_.client, "enterprise", meter.id, base=29_900, per_token="0.00005"),
    )


def _plan(client: stripe.StripeClient, name: str, meter: str, *, base: int, per_token: str) -> Plan:
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
    return Plan(licensed.id, client.v1.prices.create(metered).id)
