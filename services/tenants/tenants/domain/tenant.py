"""The lifecycle of a tenant: its limits, suspensions and deletion, and the events of their changes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from services.tenants.errors import OverageNeedsMeteredPlan, TenantBeingDeleted, TenantNotSuspended
from services.tenants.tenants.domain.limits import OwnLimits, limits_of, merge_limits
from services.tenants.tenants.domain.settings import LintGate
from shared.events.billing import SubscriptionChanged
from shared.events.envelope import Event, new_event
from shared.events.tenants import (
    LimitsState,
    TenantCreated,
    TenantDeleted,
    TenantDeletionRequested,
    TenantPlanChanged,
    TenantReactivated,
    TenantState,
    TenantSuspended,
    TenantUpdated,
)
from shared.plans import METERED, Plan, Quotas
from shared.tenancy.context import Allowance, TenantAccess

Status = Literal["active", "suspended", "suspended_by_billing", "deleting"]


@dataclass(frozen=True, slots=True)
class CurrentUsage:
    """The current usage of what the limits restrict."""

    users: int = 0
    projects: int = 0
    storage_gb: int = 0
    """Gigabytes of 10⁹ bytes, rounded up."""
    monthly_requests: int = 0
    monthly_tokens: int = 0
    month: str = ""
    """The month of the monthly numbers, for example `2026-11`. Empty before the first summary."""

    def in_month(self, month: str) -> "CurrentUsage":
        """Return the usage in this month. Monthly numbers of an earlier month become zero."""
        if self.month == month:
            return self
        return replace(self, monthly_requests=0, monthly_tokens=0, month=month)


@dataclass(frozen=True, slots=True)
class Suspension:
    """A suspension by an operator. Billing cannot lift it."""

    reason: str
    abuse: bool
    since: datetime | None
    """None if the tenant was suspended with AWS tools."""


@dataclass(frozen=True, slots=True)
class BillingDecision:
    """The last decision of billing about the tenant."""

    suspended: bool = False
    grace_until: datetime | None = None
    seq: int = 0
    """Billing's sequence number of the decision."""


@dataclass(frozen=True, slots=True)
class Deletion:
    """A requested deletion."""

    requested_by: str
    requested_at: datetime


@dataclass(frozen=True, slots=True)
class Tenant:
    """An organization: the unit of isolation and of billing."""

    tenant_id: str
    name: str
    plan: Plan
    seq: int
    created_at: datetime
    updated_at: datetime
    own_limits: OwnLimits = field(default_factory=dict[str, "int | tuple[str, ...]"])
    usage: CurrentUsage = CurrentUsage()
    wants_overage: bool = False
    suspension: Suspension | None = None
    billing: BillingDecision = BillingDecision()
    deletion: Deletion | None = None
    lint_gate: LintGate = "warn"
    """The setting of this name, which the agents service obeys."""

    @property
    def limits(self) -> Quotas:
        """Its own limits, and the plan's for the others."""
        return limits_of(self.plan, self.own_limits)

    @property
    def overage(self) -> Literal["block", "allow"]:
        """Whether runs continue above the monthly limits. Without a price for usage they are always blocked."""
        return "allow" if self.wants_overage and self.plan in METERED else "block"

    @property
    def status(self) -> Status:
        """The status. In every status except `active`, the tenant is read-only."""
        if self.deletion:
            return "deleting"
        if self.suspension:
            return "suspended"
        return "suspended_by_billing" if self.billing.suspended else "active"

    @property
    def access(self) -> TenantAccess:
        """The facts that decide whether a change in this tenant is allowed."""
        limits = self.limits
        allowance = Allowance(
            requests_per_month=limits.max_requests_per_month,
            tokens_per_month=limits.max_tokens_per_month,
            storage_gb=limits.max_storage_gb,
            overage=self.overage == "allow",
            concurrent_runs=limits.max_concurrent_runs,
        )
        return TenantAccess(
            self.tenant_id, self.seq, self.status, self.plan, limits.enabled_features, allowance, self.lint_gate
        )


@dataclass(frozen=True, slots=True)
class TenantChange:
    """A merge patch of a tenant, in which None leaves a field unchanged."""

    name: str | None = None
    plan: Plan | None = None
    limits: Mapping[str, int | tuple[str, ...] | None] = field(
        default_factory=dict[str, "int | tuple[str, ...] | None"]
    )
    """A patch of the own limits. None removes a limit."""
    overage: Literal["block", "allow"] | None = None
    lint_gate: LintGate | None = None
    changes_settings: bool = False
    """Whether its settings, which are stored in an item of their own, change with it."""


TenantRevision = tuple[Tenant, Sequence[Event[TenantState]]]


def create_tenant(tenant_id: str, *, name: str, plan: Plan, own_limits: OwnLimits, now: datetime) -> TenantRevision:
    """Return a new tenant and its event.

    Args:
        tenant_id: the slug of the tenant.
        name: the name of the organization.
        plan: the plan.
        own_limits: the limits that override the plan's.
        now: the time.
    """
    tenant = Tenant(tenant_id, name, plan, seq=1, created_at=now, updated_at=now, own_limits=own_limits)
    return tenant, [_state_event(TenantCreated, tenant, f"{tenant_id}:created")]


def announce(tenant: Tenant, *, now: datetime) -> TenantRevision:
    """Return a tenant that was created with AWS tools with its first event; no event if it was announced before."""
    return (tenant, []) if tenant.seq else _next(tenant, replace(tenant, updated_at=now), now=now)


def change_tenant(tenant: Tenant, change: TenantChange, *, now: datetime) -> TenantRevision:
    """Return the tenant after a change, and the events of the change.

    Raises:
        OverageNeedsMeteredPlan: usage has no price on the plan.
        TenantBeingDeleted: the deletion of the tenant has begun.
    """
    _check_not_deleting(tenant)
    after = replace(
        tenant,
        name=change.name or tenant.name,
        plan=change.plan or tenant.plan,
        own_limits=merge_limits(tenant.own_limits, change.limits),
        wants_overage=tenant.wants_overage if change.overage is None else change.overage == "allow",
        lint_gate=change.lint_gate or tenant.lint_gate,
    )
    if change.overage == "allow" and after.overage == "block":
        raise OverageNeedsMeteredPlan
    return _next(tenant, after, now=now, is_changed=after != tenant or change.changes_settings)


def suspend_tenant(tenant: Tenant, *, reason: str, abuse: bool, now: datetime) -> TenantRevision:
    """Suspend a tenant until an operator lifts the suspension.

    Raises:
        TenantBeingDeleted: the deletion of the tenant has begun.
    """
    _check_not_deleting(tenant)
    return _next(tenant, replace(tenant, suspension=Suspension(reason, abuse, now)), now=now)


def reactivate_tenant(tenant: Tenant, *, now: datetime) -> TenantRevision:
    """Lift the operator's suspension. A suspension by billing remains until billing lifts it.

    Raises:
        TenantNotSuspended: no operator has suspended the tenant.
        TenantBeingDeleted: the deletion of the tenant has begun.
    """
    _check_not_deleting(tenant)
    if tenant.suspension is None:
        raise TenantNotSuspended
    return _next(tenant, replace(tenant, suspension=None), now=now)


def apply_subscription(tenant: Tenant, subscription: SubscriptionChanged, *, seq: int, now: datetime) -> TenantRevision:
    """Apply the plan, grace period and suspension that billing has decided. An older decision changes nothing."""
    if seq <= tenant.billing.seq or tenant.deletion:
        return tenant, []
    decision = BillingDecision(subscription.status == "suspended_by_billing", subscription.grace_until, seq)
    return _next(tenant, replace(tenant, plan=Plan(subscription.plan), billing=decision), now=now)


def request_deletion(tenant: Tenant, *, by: str, now: datetime) -> TenantRevision:
    """Begin to delete a tenant. Nothing new can begin in it.

    Raises:
        TenantBeingDeleted: the deletion was requested before.
    """
    _check_not_deleting(tenant)
    after = replace(tenant, deletion=Deletion(by, now), seq=tenant.seq + 1, updated_at=now)
    return after, [_state_event(TenantDeletionRequested, after, f"{tenant.tenant_id}:{after.seq}:deletion_requested")]


def delete_tenant(tenant: Tenant, *, now: datetime) -> Event[TenantDeleted]:
    """Return the event of a tenant's deletion."""
    return new_event(
        TenantDeleted(),
        event_id=f"{tenant.tenant_id}:deleted",
        tenant_id=tenant.tenant_id,
        subject=tenant.tenant_id,
        seq=tenant.seq + 1,
        at=now,
    )


def _check_not_deleting(tenant: Tenant) -> None:
    if tenant.deletion:
        raise TenantBeingDeleted


def _next(before: Tenant, after: Tenant, *, now: datetime, is_changed: bool | None = None) -> TenantRevision:
    """Return the next version and its events, or the same tenant and no event if nothing has changed.

    For other services, the first change of a tenant that was created with AWS tools is its creation.
    """
    if not (after != before if is_changed is None else is_changed):
        return before, []
    after = replace(after, seq=before.seq + 1, updated_at=now)
    if not before.seq:
        return after, [_state_event(TenantCreated, after, f"{after.tenant_id}:created")]
    kinds: list[tuple[type[TenantState], str]] = []
    if (before.status, before.suspension) != (after.status, after.suspension):
        active = after.status == "active"
        kinds.append((TenantReactivated, "reactivated") if active else (TenantSuspended, "suspended"))
    if before.plan != after.plan:
        kinds.append((TenantPlanChanged, "plan_changed"))
    if not kinds:
        kinds.append((TenantUpdated, "updated"))
    # Each event carries the full state, so two events of one version lead to the same copy.
    return after, [_state_event(kind, after, f"{after.tenant_id}:{after.seq}:{name}") for kind, name in kinds]


def _state_event(kind: type[TenantState], tenant: Tenant, event_id: str) -> Event[TenantState]:
    state = kind(
        plan=tenant.plan,
        status=tenant.status,
        limits=LimitsState.model_validate(tenant.limits.to_item()),
        overage=tenant.overage,
        lint_gate=tenant.lint_gate,
    )
    return new_event(
        state,
        event_id=event_id,
        tenant_id=tenant.tenant_id,
        subject=tenant.tenant_id,
        seq=tenant.seq,
        at=tenant.updated_at,
    )
