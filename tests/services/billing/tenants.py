"""Tenants, as the tenants service says them."""

from datetime import UTC, datetime

from shared.events.envelope import Event, happened
from shared.events.tenants import LimitsState, TenantCreated
from shared.plans import LIMITS, Plan

AT = datetime(2026, 11, 22, 23, 19, 5, 42_000, tzinfo=UTC)


def created(tenant_id: str = "demo-org", *, plan: Plan = Plan.PRO, seq: int = 1) -> Event[TenantCreated]:
    """A tenant exists."""
    limits = LimitsState.model_validate(LIMITS[plan].to_item())
    said = TenantCreated(plan=plan, status="active", limits=limits)
    return happened(said, event_id=f"{tenant_id}:created", tenant_id=tenant_id, subject=tenant_id, seq=seq, at=AT)
