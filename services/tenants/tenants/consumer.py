"""Handlers of events that change a tenant, operators' commands, and the hourly usage metrics."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from services.tenants import wiring
from services.tenants.tenants import operations
from services.tenants.tenants.domain.limits import LimitsPatch, merge_limits
from services.tenants.tenants.domain.tenant import Tenant, TenantChange
from services.tenants.tenants.table.tenants import AllTenants, TenantRecord
from shared.audit import recorded
from shared.events.billing import SubscriptionChanged
from shared.events.envelope import Event
from shared.events.metering import UsageSummarized
from shared.messaging.commands import CommandRouter
from shared.messaging.consumer import EventRouter
from shared.messaging.schedule import WorkReport, scheduled
from shared.metrics import ACTIVE_TENANTS, MRR, SWEEP_BACKLOG
from shared.observability import report
from shared.plans import PRICES, Plan
from shared.scope import Change
from shared.storage.inbox import Delivery
from shared.times import to_text, utc_now

events = EventRouter()
commands = CommandRouter()


class _NoInput(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _TenantInput(BaseModel):
    model_config = ConfigDict(extra="forbid")

    tenant_id: str


class _NewTenantInput(_TenantInput):
    name: Annotated[str, Field(min_length=1, max_length=200)]
    plan: Plan
    limits: LimitsPatch = LimitsPatch()


class _TenantChangeInput(_TenantInput):
    name: Annotated[str | None, Field(min_length=1, max_length=200)] = None
    plan: Plan | None = None
    limits: LimitsPatch = LimitsPatch()
    overage: Literal["block", "allow"] | None = None


class _SuspensionInput(_TenantInput):
    reason: Annotated[str, Field(min_length=1, max_length=500)]
    abuse: bool = False


@events.on(SubscriptionChanged)
def apply_subscription(event: Event[SubscriptionChanged], _: Delivery) -> None:
    """Apply the plan, grace period and suspension that billing has decided."""
    if TenantRecord(wiring.slice_store(), event.tenant_id).is_deleted():
        return
    change = Change(event.id, "service:billing", "", event.type, "", "", event.occurred_at)
    with recorded(change):
        operations.apply_subscription(wiring.slice_store(), event)


@events.on(UsageSummarized)
def save_usage(event: Event[UsageSummarized], _: Delivery) -> None:
    """Store the tenant's current usage, for comparison with its limits."""
    operations.save_usage(wiring.slice_store(), event)


@scheduled("counted")
def report_usage_metrics() -> WorkReport:
    """Report the number of active tenants and the monthly recurring revenue per plan, every hour."""
    try:
        active = operations.count_active_tenants(wiring.slice_store())
    except TimeoutError:
        # A partial count would look like a loss of tenants.
        return {"active": None}, {SWEEP_BACKLOG: 1}
    for plan, count in active.items():
        month_cents = count * PRICES[plan].base_cents_per_month
        report("tenants counted", {ACTIVE_TENANTS: count, MRR: month_cents}, plan=plan.value)
    return {"active": sum(active.values())}, {}


@commands.on("list_tenants", _NoInput)
def list_tenants(_: _NoInput) -> dict[str, Any]:
    """List all operations."""
    return {"tenants": [_tenant_to_response(tenant) for tenant in AllTenants(wiring.slice_store())]}


@commands.on("create_tenant", _NewTenantInput)
def create_tenant(command: _NewTenantInput) -> dict[str, Any]:
    """Create a tenant."""
    tenant = operations.create_tenant(
        wiring.slice_store(),
        command.tenant_id,
        name=command.name,
        plan=command.plan,
        own_limits=merge_limits({}, command.limits.sent),
        now=utc_now(),
    )
    return {"tenant": _tenant_to_response(tenant)}


@commands.on("update_tenant", _TenantChangeInput)
def update_tenant(command: _TenantChangeInput) -> dict[str, Any]:
    """Change a tenant's name, plan, own limits or overage."""
    change = TenantChange(command.name, command.plan, command.limits.sent, command.overage)
    return {
        "tenant": _tenant_to_response(
            operations.change_tenant(wiring.slice_store(), command.tenant_id, change, now=utc_now())
        )
    }


@commands.on("suspend_tenant", _SuspensionInput)
def suspend_tenant(command: _SuspensionInput) -> dict[str, Any]:
    """Suspend a tenant: it can be read, but not changed."""
    tenant = operations.suspend_tenant(
        wiring.slice_store(), command.tenant_id, reason=command.reason, abuse=command.abuse, now=utc_now()
    )
    return {"tenant": _tenant_to_response(tenant)}


@commands.on("reactivate_tenant", _TenantInput)
def reactivate_tenant(command: _TenantInput) -> dict[str, Any]:
    """Lift an operator's suspension."""
    return {
        "tenant": _tenant_to_response(
            operations.reactivate_tenant(wiring.slice_store(), command.tenant_id, now=utc_now())
        )
    }


@commands.on("delete_tenant", _TenantInput)
def delete_tenant(command: _TenantInput) -> dict[str, Any]:
    """Begin to delete a tenant."""
    tenant = operations.request_deletion(wiring.slice_store(), command.tenant_id, by="operator", now=utc_now())
    return {"tenant": _tenant_to_response(tenant)}


def _tenant_to_response(tenant: Tenant) -> dict[str, Any]:
    return {
        "tenant_id": tenant.tenant_id,
        "name": tenant.name,
        "plan": tenant.plan,
        "status": tenant.status,
        "overage": tenant.overage,
        "limits": tenant.limits.to_item(),
        "monthly_tokens": tenant.usage.in_month(f"{utc_now():%Y-%m}").monthly_tokens,
        "created_at": to_text(tenant.created_at),
    }
