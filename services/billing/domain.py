"""Customers: a tenant as billing sees it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from shared.events.billing import UsageSynced
from shared.events.envelope import Event, happened
from shared.events.metering import UsageTenantClosed
from shared.events.tenants import TenantCreated
from shared.plans import Plan


class BillingMode(StrEnum):
    """Who collects what a tenant owes."""

    MANUAL = "manual"
    """Nobody by machine: usage is counted and never sent anywhere."""


@dataclass(frozen=True, slots=True)
class Customer:
    """A tenant as billing sees it."""

    tenant_id: str
    plan: Plan
    billing: BillingMode
    created_at: datetime
    """When the tenant was made."""
    seq: int


def customer_of(event: Event[TenantCreated]) -> Customer:
    """The customer that a new tenant becomes."""
    return Customer(
        tenant_id=event.tenant_id,
        plan=Plan(event.data.plan),
        billing=BillingMode.MANUAL,
        created_at=event.occurred_at,
        seq=1,
    )


def finish_sync(event: Event[UsageTenantClosed]) -> Event[UsageSynced]:
    """What is to be said when nothing of a tenant's usage is left to be synced."""
    return happened(
        UsageSynced(),
        event_id=f"{event.tenant_id}:synced",
        tenant_id=event.tenant_id,
        subject=event.tenant_id,
        seq=event.seq,
        at=event.occurred_at,
    )
