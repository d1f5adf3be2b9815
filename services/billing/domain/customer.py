"""Customers: a tenant as billing sees it."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from services.billing.domain.subscription import Standing, Subscription, TenantStatus, following, standing_of
from shared.events.billing import SubscriptionChanged, UsageSynced
from shared.events.envelope import Event, happened
from shared.events.tenants import TenantState
from shared.plans import Plan


class BillingMode(StrEnum):
    """Who collects what a tenant owes."""

    MANUAL = "manual"
    """Nobody by machine: usage is counted and never sent anywhere."""
    STRIPE = "stripe"


@dataclass(frozen=True, slots=True)
class Customer:
    """A tenant as billing sees it."""

    tenant_id: str
    plan: Plan
    billing: BillingMode
    created_at: datetime
    """When the tenant was made."""
    rev: int
    """Raised by every change of this record."""
    heard_seq: int
    """Of the tenant's newest state that was heard."""
    status: TenantStatus = "active"
    """What billing says; an operator's suspension is none of its business."""
    grace_until: datetime | None = None
    stripe_customer_id: str | None = None
    subscription: Subscription | None = None
    """The one that counts, as Stripe had it when it was last asked."""

    @property
    def standing(self) -> Standing:
        """What the tenant may do."""
        return Standing(self.plan, self.status, self.grace_until)

    @property
    def paying(self) -> Subscription | None:
        """The subscription that it is billed by, if that goes on."""
        return self.subscription if self.subscription and self.subscription.goes_on else None


def customer_of(event: Event[TenantState]) -> Customer:
    """The customer that a new tenant becomes."""
    return Customer(
        tenant_id=event.tenant_id,
        plan=Plan(event.data.plan),
        billing=BillingMode.MANUAL,
        created_at=event.occurred_at,
        rev=1,
        heard_seq=event.seq,
    )


def hear(customer: Customer, event: Event[TenantState]) -> Customer:
    """The customer after news of its tenant: a plan that an operator gave counts unless Stripe collects."""
    if event.seq <= customer.heard_seq:
        return customer
    heard = replace(customer, heard_seq=event.seq, rev=customer.rev + 1)
    return heard if customer.billing is BillingMode.STRIPE else replace(heard, plan=Plan(event.data.plan))


def linked(customer: Customer, stripe_customer_id: str | None) -> Customer:
    """The customer with its counterpart at Stripe; None: that was deleted."""
    return replace(customer, stripe_customer_id=stripe_customer_id, rev=customer.rev + 1)


def subscribed(
    customer: Customer, subscription: Subscription, *, now: datetime
) -> tuple[Customer, list[Event[SubscriptionChanged]]]:
    """The customer under the subscription as it is now, and what others must hear.

    What is known already changes nothing, so that no replay touches what an operator did since.
    """
    grace_is_over = customer.grace_until is not None and customer.grace_until <= now and customer.status == "active"
    if customer.subscription == subscription and not grace_is_over:
        return customer, []
    kept = following(customer.subscription, subscription, now=now)
    changed = replace(customer, subscription=kept, rev=customer.rev + 1)
    if subscription.has_begun:
        standing = standing_of(subscription, before=customer.standing, now=now)
        changed = replace(
            changed,
            plan=standing.plan,
            status=standing.status,
            grace_until=standing.grace_until,
            billing=BillingMode.STRIPE if subscription.goes_on else BillingMode.MANUAL,
        )
    return changed, _told(customer, changed, now=now)


def _told(before: Customer, after: Customer, *, now: datetime) -> list[Event[SubscriptionChanged]]:
    """The event of a change that others can see."""
    said, was = _state(after), _state(before)
    if said == was:
        return []
    event_id = f"{after.tenant_id}:subscription:{after.rev}"
    tenant_id = after.tenant_id
    return [happened(said, event_id=event_id, tenant_id=tenant_id, subject=tenant_id, seq=after.rev, at=now)]


def _state(customer: Customer) -> SubscriptionChanged:
    return SubscriptionChanged(
        plan=customer.plan,
        billing=customer.billing.value,
        status=customer.status,
        subscription_status=customer.subscription.state if customer.subscription else None,
        grace_until=customer.grace_until,
    )


def usage_synced(tenant_id: str, *, now: datetime) -> Event[UsageSynced]:
    """What is said when a tenant's last usage is sent."""
    event_id = f"{tenant_id}:usage_synced"
    return happened(UsageSynced(), event_id=event_id, tenant_id=tenant_id, subject=tenant_id, seq=1, at=now)
