"""The life of a tenant: what it may use, who has suspended it, and what is said when that changes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from services.tenants.domain.limits import OwnLimits, limits_of, merge_limits
from services.tenants.errors import OverageNeedsMeteredPlan, TenantBeingDeleted, TenantNotSuspended
from shared.events.billing import SubscriptionChanged
from shared.events.envelope import Event, happened
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
from shared.plans import METERED, Limits, Plan
from shared.tenancy.context import Allowance, TenantAccess

Status = Literal["active", "suspended", "suspended_by_billing", "deleting"]


@dataclass(frozen=True, slots=True)
class CurrentUsage:
    """How much of the limits is used now."""

    users: int = 0
    projects: int = 0
    storage_gb: int = 0
    """Begun gigabytes of 10⁹ bytes."""
    monthly_requests: int = 0
    monthly_tokens: int = 0
    month: str = ""
    """The month that the monthly numbers are of, `2026-11`; empty: nothing was heard yet."""

    def in_month(self, month: str) -> "CurrentUsage":
        """The usage as it counts in this month: what was used in an earlier one is over."""
        if self.month == month:
            return self
        return replace(self, monthly_requests=0, monthly_tokens=0, month=month)


@dataclass(frozen=True, slots=True)
class Suspension:
    """An operator's word; billing cannot lift it."""

    reason: str
    abuse: bool
    since: datetime | None
    """None when it was made with AWS tools."""


@dataclass(frozen=True, slots=True)
class BillingWord:
    """What billing has said last of the tenant."""

    suspended: bool = False
    grace_until: datetime | None = None
    seq: int = 0
    """Billing's own."""


@dataclass(frozen=True, slots=True)
class Deletion:
    """Who asked for the tenant's end, and when."""

    requested_by: str
    requested_at: datetime


@dataclass(frozen=True, slots=True)
class Tenant:
    """An organisation: the unit of isolation and of billing."""

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
    billing: BillingWord = BillingWord()
    deletion: Deletion | None = None

    @property
    def limits(self) -> Limits:
        """What it may use: its own limits over the plan's."""
        return limits_of(self.plan, self.own_limits)

    @property
    def overage(self) -> Literal["block", "allow"]:
        """Whether runs go on above the monthly limits; where usage has no price they never do."""
        return "allow" if self.wants_overage and self.plan in METERED else "block"

    @property
    def status(self) -> Status:
        """Whether anything may be changed in it, and if not, why."""
        if self.deletion:
            return "deleting"
        if self.suspension:
            return "suspended"
        return "suspended_by_billing" if self.billing.suspended else "active"

    @property
    def access(self) -> TenantAccess:
        """What decides about a change in this tenant."""
        limits = self.limits
        allowance = Allowance(
            requests_per_month=limits.max_requests_per_month,
            tokens_per_month=limits.max_tokens_per_month,
            storage_gb=limits.max_storage_gb,
            overage=self.overage == "allow",
            concurrent_runs=limits.max_concurrent_runs,
        )
        return TenantAccess(self.tenant_id, self.seq, self.status, self.plan, limits.enabled_features, allowance)


@dataclass(frozen=True, slots=True)
class TenantChange:
    """What to change of a tenant: a merge patch, where None means as it was."""

    name: str | None = None
    plan: Plan | None = None
    limits: Mapping[str, int | tuple[str, ...] | None] = field(
        default_factory=dict[str, "int | tuple[str, ...] | None"]
    )
    """Own limits key by key; None takes one away."""
    overage: Literal["block", "allow"] | None = None
    changes_settings: bool = False
    """Whether its settings, which are stored apart, change with it."""


Change = tuple[Tenant, Sequence[Event[TenantState]]]


def create_tenant(tenant_id: str, *, name: str, plan: Plan, own_limits: OwnLimits, now: datetime) -> Change:
    """A new tenant on this plan.

    Args:
        tenant_id: its slug.
        name: of the organisation.
        plan: what it is on.
        own_limits: over the plan's.
        now: the time.
    """
    tenant = Tenant(tenant_id, name, plan, seq=1, created_at=now, updated_at=now, own_limits=own_limits)
    return tenant, [_said(TenantCreated, tenant, f"{tenant_id}:created")]


def announce(tenant: Tenant, *, now: datetime) -> Change:
    """A tenant that was made with AWS tools, as the others are to hear of it; of one that they know nothing is said."""
    return (tenant, []) if tenant.seq else _next(tenant, replace(tenant, updated_at=now), now=now)


def change_tenant(tenant: Tenant, change: TenantChange, *, now: datetime) -> Change:
    """The tenant as it is asked to be.

    Raises:
        OverageNeedsMeteredPlan: usage has no price on the plan.
        TenantBeingDeleted: it is.
    """
    _check_stays(tenant)
    after = replace(
        tenant,
        name=change.name or tenant.name,
        plan=change.plan or tenant.plan,
        own_limits=merge_limits(tenant.own_limits, change.limits),
        wants_overage=tenant.wants_overage if change.overage is None else change.overage == "allow",
    )
    if change.overage == "allow" and after.overage == "block":
        raise OverageNeedsMeteredPlan
    return _next(tenant, after, now=now, is_changed=after != tenant or change.changes_settings)


def suspend_tenant(tenant: Tenant, *, reason: str, abuse: bool, now: datetime) -> Change:
    """Nothing may be changed in it until an operator lifts this.

    Raises:
        TenantBeingDeleted: it is.
    """
    _check_stays(tenant)
    return _next(tenant, replace(tenant, suspension=Suspension(reason, abuse, now)), now=now)


def reactivate_tenant(tenant: Tenant, *, now: datetime) -> Change:
    """The operator's suspension is over; billing's stays until billing lifts it.

    Raises:
        TenantNotSuspended: no operator has suspended it.
        TenantBeingDeleted: it is.
    """
    _check_stays(tenant)
    if tenant.suspension is None:
        raise TenantNotSuspended
    return _next(tenant, replace(tenant, suspension=None), now=now)


def follow_subscription(tenant: Tenant, said: SubscriptionChanged, *, seq: int, now: datetime) -> Change:
    """The plan, the grace and the suspension that billing has decided on; what is older than known changes nothing."""
    if seq <= tenant.billing.seq or tenant.deletion:
        return tenant, []
    word = BillingWord(said.status == "suspended_by_billing", said.grace_until, seq)
    return _next(tenant, replace(tenant, plan=Plan(said.plan), billing=word), now=now)


def request_deletion(tenant: Tenant, *, by: str, now: datetime) -> Change:
    """The beginning of its end: nothing new may begin in it.

    Raises:
        TenantBeingDeleted: somebody has asked for it already.
    """
    _check_stays(tenant)
    after = replace(tenant, deletion=Deletion(by, now), seq=tenant.seq + 1, updated_at=now)
    return after, [_said(TenantDeletionRequested, after, f"{tenant.tenant_id}:{after.seq}:deletion_requested")]


def delete_tenant(tenant: Tenant, *, now: datetime) -> Event[TenantDeleted]:
    """What is to be said when it is gone."""
    return happened(
        TenantDeleted(),
        event_id=f"{tenant.tenant_id}:deleted",
        tenant_id=tenant.tenant_id,
        subject=tenant.tenant_id,
        seq=tenant.seq + 1,
        at=now,
    )


def _check_stays(tenant: Tenant) -> None:
    if tenant.deletion:
        raise TenantBeingDeleted


def _next(before: Tenant, after: Tenant, *, now: datetime, is_changed: bool | None = None) -> Change:
    """Return the next version and its events; the same tenant and no event when nothing has changed.

    The first change of a tenant that was made with AWS tools is its creation for the other services.
    """
    if not (after != before if is_changed is None else is_changed):
        return before, []
    after = replace(after, seq=before.seq + 1, updated_at=now)
    if not before.seq:
        return after, [_said(TenantCreated, after, f"{after.tenant_id}:created")]
    kinds: list[tuple[type[TenantState], str]] = []
    if (before.status, before.suspension) != (after.status, after.suspension):
        active = after.status == "active"
        kinds.append((TenantReactivated, "reactivated") if active else (TenantSuspended, "suspended"))
    if before.plan != after.plan:
        kinds.append((TenantPlanChanged, "plan_changed"))
    if not kinds:
        kinds.append((TenantUpdated, "updated"))
    # Each carries the full state, so two of one version say the same to those who keep a copy.
    return after, [_said(kind, after, f"{after.tenant_id}:{after.seq}:{name}") for kind, name in kinds]


def _said(kind: type[TenantState], tenant: Tenant, event_id: str) -> Event[TenantState]:
    state = kind(
        plan=tenant.plan,
        status=tenant.status,
        limits=LimitsState.model_validate(tenant.limits.to_item()),
        overage=tenant.overage,
    )
    return happened(
        state,
        event_id=event_id,
        tenant_id=tenant.tenant_id,
        subject=tenant.tenant_id,
        seq=tenant.seq,
        at=tenant.updated_at,
    )
