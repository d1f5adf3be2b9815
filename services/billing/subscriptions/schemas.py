"""Requests and responses of the subscriptions API."""

from typing import Annotated, Self

from pydantic import ConfigDict, Field

from services.billing.customers.domain.customer import Customer
from services.billing.subscriptions.domain import Proration
from shared.http.responses import ResponseBody
from shared.plans import PRICES
from shared.plans import Plan as PlanName
from shared.schema import DocumentedModel
from shared.times import Rfc3339

Url = Annotated[str, Field(pattern=r"^https?://[^\s]+$", max_length=2_000)]


class PlanPrices(DocumentedModel):
    """The prices of a plan in USD. The metered prices apply from the first unit."""

    model_config = ConfigDict(from_attributes=True)

    base_cents_per_month: int
    """In cents."""
    token_in_nano_usd: int
    """Per input token, in 10^-9 USD."""
    token_out_nano_usd: int
    """Per output token, in 10^-9 USD."""
    storage_gb_month_nano_usd: int
    """Per GB stored for a month, in 10^-9 USD."""
    egress_gb_nano_usd: int
    """Per downloaded GB, in 10^-9 USD."""


class PlanProration(DocumentedModel):
    """The credit and the charge of an upgrade, in cents."""

    model_config = ConfigDict(from_attributes=True)

    credit_cents: int
    """The unused rest of the old plan."""
    charge_cents: int
    """The new plan for the rest of the period."""


class TenantPlan(DocumentedModel):
    """The tenant's plan and how it is billed."""

    plan: str
    billing: str
    """`stripe`: Stripe collects. `manual`: usage is counted, and nothing is collected automatically."""
    status: str
    """`active`, or `suspended_by_billing`."""
    subscription_status: str | None
    """The status of the subscription at Stripe."""
    grace_until: Rfc3339 | None
    """End of the grace period for an unpaid invoice; null without one."""
    period_start: Rfc3339 | None
    """Null without a subscription, as is `period_end`."""
    period_end: Rfc3339 | None
    next_plan: str | None
    """The plan after the end of the period, if a downgrade is pending."""
    prices: PlanPrices
    proration: PlanProration | None = None
    """Only present in the response to an upgrade."""

    @classmethod
    def of(cls, customer: Customer, *, proration: Proration | None = None) -> Self:
        """Return the response body of a customer's plan."""
        subscription = customer.subscription
        ongoing = customer.ongoing_subscription
        return cls(
            plan=customer.plan,
            billing=customer.billing,
            status=customer.status,
            subscription_status=subscription.state if subscription else None,
            grace_until=customer.grace_until,
            period_start=ongoing.period.start if ongoing else None,
            period_end=ongoing.period.end if ongoing else None,
            next_plan=ongoing.next_plan if ongoing else None,
            prices=PlanPrices.model_validate(PRICES[customer.plan]),
            proration=PlanProration.model_validate(proration) if proration else None,
        )


class PlanUpdate(DocumentedModel):
    """The request to change the plan."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"plan": "enterprise"}]},
    )

    plan: PlanName | None = None
    """An upgrade takes effect at once, a downgrade at the end of the period. The current plan cancels a pending
    downgrade."""


class CheckoutRequest(DocumentedModel):
    """The request to open a checkout page."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"plan": "pro"}]},
    )

    plan: PlanName
    success_url: Url | None = None
    """The page to which Stripe returns after the payment."""
    cancel_url: Url | None = None
    """The page to which Stripe returns without a payment."""


class Checkout(DocumentedModel):
    """A checkout page."""

    checkout_id: str
    plan: str
    url: str
    """The page at Stripe on which the customer pays."""
    expires_at: Rfc3339


class PortalRequest(DocumentedModel):
    """The request to open the customer portal."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"return_url": "https://app.example.com/billing"}]},
    )

    return_url: Url | None = None
    """The page to which the portal links back."""


class Portal(DocumentedModel):
    """The URL of a customer portal with payment methods, invoices and the subscription."""

    url: str


class PlanResponse(ResponseBody):
    """The response with the tenant's plan."""

    plan: TenantPlan


class CheckoutResponse(ResponseBody):
    """The response with a checkout page."""

    checkout: Checkout


class PortalResponse(ResponseBody):
    """The response with a customer portal."""

    portal: Portal
