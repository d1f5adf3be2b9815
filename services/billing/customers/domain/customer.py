"""Customers: billing's records of tenants."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from services.billing.customers.domain.subscription import (
    Entitlement,
    Subscription,
    TenantStatus,
    carry_plan_change,
    entitlement_of,
)
from shared.events.billing import SubscriptionChanged, UsageSynced
from shared.events.envelope import Event, new_event
from shared.events.tenants import TenantState
from shared.plans import Plan


class BillingMode(StrEnum):
    """The way in which a tenant's charges are collected."""

    MANUAL = "manual"
    """Nothing is collected automatically. Usage is counted and never sent."""
    STRIPE = "stripe"


@dataclass(frozen=True, slots=True)
class Customer:
    """Billing's record of a tenant."""

    tenant_id: str
    plan: Plan
    billing: BillingMode
    created_at: datetime
    """The time at which the tenant was created."""
    rev: int
    """The revision of this record. Every change increments it."""
    last_event_seq: int
    """The sequence number of the newest event of the tenant that was applied."""
    status: TenantStatus = "active"
    """The status that billing grants. It does not include a suspension by an operator."""
    grace_until: datetime | None = None
    stripe_customer_id: str | None = None
    subscription: Subscription | None = None
    """The current subscription, as last read from Stripe."""

    @property
    def entitlement(self) -> Entitlement:
        """Return the plan, status and grace period that billing grants."""
        return Entitlement(self.plan, self.status, self.grace_until)

    @property
    def ongoing_subscription(self) -> Subscription | None:
        """Return the subscription by which the tenant is billed, or None if it is not ongoing."""
        return self.subscription if self.subscription and self.subscription.is_ongoing else None


def new_customer(event: Event[TenantState]) -> Customer:
    """Return the customer of a new tenant."""
    return Customer(
        tenant_id=event.tenant_id,
        plan=Plan(event.data.plan),
        billing=BillingMode.MANUAL,
        created_at=event.occurred_at,
        rev=1,
        last_event_seq=event.seq,
    )


def apply_event(customer: Customer, event: Event[TenantState]) -> Customer:
    """Apply an event of the tenant. Its plan counts unless Stripe collects."""
    if event.seq <= customer.last_event_seq:
        return customer
    received = replace(customer, last_event_seq=event.seq, rev=customer.rev + 1)
    return received if customer.billing is BillingMode.STRIPE else replace(received, plan=Plan(event.data.plan))


def link_to_stripe(customer: Customer, stripe_customer_id: str | None) -> Customer:
    """Return the customer with its id at Stripe, or with None if it was deleted there."""
    return replace(customer, stripe_customer_id=stripe_customer_id, rev=customer.rev + 1)


def apply_subscription(
    customer: Customer, subscription: Subscription, *, now: datetime
) -> tuple[Customer, list[Event[SubscriptionChanged]]]:
    """Apply the current subscription to the customer; return the customer and the events of the change.

    An unchanged subscription changes nothing, so a replay cannot overwrite a later change by an operator.
    """
    grace_is_over = customer.grace_until is not None and customer.grace_until <= now and customer.status == "active"
    if customer.subscription == subscription and not grace_is_over:
        return customer, []
    current = carry_plan_change(customer.subscription, subscription, now=now)
    changed = replace(customer, subscription=current, rev=customer.rev + 1)
    if subscription.has_started:
        entitlement = entitlement_of(subscription, before=customer.entitlement, now=now)
        changed = replace(
            changed,
            plan=entitlement.plan,
            status=entitlement.status,
            grace_until=entitlement.grace_until,
            billing=BillingMode.STRIPE if subscription.is_ongoing else BillingMode.MANUAL,
        )
    return changed, _change_events(customer, changed, now=now)


def _change_events(before: Customer, after: Customer, *, now: datetime) -> list[Event[SubscriptionChanged]]:
    """Return the event of a change that other services can observe, if any."""
    payload, was = _state(after), _state(before)
    if payload == was:
        return []
    event_id = f"{after.tenant_id}:subscription:{after.rev}"
    tenant_id = after.tenant_id
    return [new_event(payload, event_id=event_id, tenant_id=tenant_id, subject=tenant_id, seq=after.rev, at=now)]


def _state(customer: Customer) -> SubscriptionChanged:
    return SubscriptionChanged(
        plan=customer.plan,
        billing=customer.billing.value,
        status=customer.status,
        subscription_status=customer.subscription.state if customer.subscription else None,
        grace_until=customer.grace_until,
    )


def usage_synced(tenant_id: str, *, now: datetime) -> Event[UsageSynced]:
    """Return the event that a tenant's remaining usage was sent."""
    event_id = f"{tenant_id}:usage_synced"
    return new_event(UsageSynced(), event_id=event_id, tenant_id=tenant_id, subject=tenant_id, seq=1, at=now)
