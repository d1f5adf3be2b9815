"""Events of tenants."""

from datetime import UTC, datetime

from shared.events.envelope import Event, new_event
from shared.events.tenants import LimitsState, TenantCreated
from shared.plans import LIMITS, Plan

AT = datetime(2026, 11, 22, 23, 19, 5, 42_000, tzinfo=UTC)


def created(tenant_id: str = "demo-org", *, plan: Plan = Plan.PRO, seq: int = 1) -> Event[TenantCreated]:
    """Return the event that creates a tenant."""
    limits = LimitsState.model_validate(LIMITS[plan].to_item())
    payload = TenantCreated(plan=plan, status="active", limits=limits)
    return new_event(payload, event_id=f"{tenant_id}:created", tenant_id=tenant_id, subject=tenant_id, seq=seq, at=AT)
