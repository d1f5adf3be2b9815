"""Events of tenants, as other services receive them."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Literal

from shared.events.envelope import Event, new_event
from shared.events.tenants import LimitsState, TenantCreated
from shared.plans import LIMITS, Plan

Status = Literal["active", "suspended", "suspended_by_billing"]
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def tenant_created(
    tenant_id: str,
    *,
    seq: int = 1,
    plan: Plan = Plan.PRO,
    status: Status = "active",
    overage: Literal["block", "allow"] = "block",
    lint_gate: Literal["off", "warn", "block"] = "warn",
    **limits: Any,  # noqa: ANN401 — any field of Limits
) -> Event[TenantCreated]:
    """Return the event that a tenant was created; `limits` override those of the plan."""
    state = LimitsState.model_validate(replace(LIMITS[plan], **limits).to_item())
    payload = TenantCreated(plan=plan, status=status, limits=state, overage=overage, lint_gate=lint_gate)
    return new_event(payload, event_id=f"{tenant_id}:{seq}", tenant_id=tenant_id, subject=tenant_id, seq=seq, at=NOW)
