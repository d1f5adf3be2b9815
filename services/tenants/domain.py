"""Tenants, users and projects, and the rules they keep."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from shared.events.envelope import Event, happened
from shared.events.tenants import LimitsState, ProjectCreated, ProjectDeleted, TenantCreated, UserInvited
from shared.plans import LIMITS, Limits, Plan
from shared.tenancy.context import Allowance, TenantAccess
from shared.tenancy.permissions import Role

Status = Literal["active", "suspended", "suspended_by_billing"]


@dataclass(frozen=True, slots=True)
class CurrentUsage:
    """How much of the limits is used now."""

    users: int = 0
    projects: int = 0
    storage_gb: int = 0
    monthly_requests: int = 0
    monthly_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Tenant:
    """An organisation: the unit of isolation and of billing."""

    tenant_id: str
    name: str
    plan: Plan
    limits: Limits
    usage: CurrentUsage
    status: Status
    seq: int
    created_at: datetime
    updated_at: datetime

    @property
    def access(self) -> TenantAccess:
        """What decides about a change in this tenant."""
        allowance = Allowance(
            requests_per_month=self.limits.max_requests_per_month,
            tokens_per_month=self.limits.max_tokens_per_month,
            storage_gb=self.limits.max_storage_gb,
            overage=False,
        )
        return TenantAccess(self.tenant_id, self.seq, self.status, self.plan, self.limits.enabled_features, allowance)


@dataclass(frozen=True, slots=True)
class Project:
    """A folder of agents in a tenant."""

    project_id: str
    name: str
    description: str | None
    seq: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class User:
    """Someone who can sign in; who that is stays in the user pool."""

    user_id: str
    email: str
    role: Role
    created_at: datetime


def create_tenant(
    tenant_id: str, *, name: str, plan: Plan, limits: Limits | None, now: datetime
) -> tuple[Tenant, Event[TenantCreated]]:
    """A new tenant on this plan.

    Args:
        tenant_id: its slug.
        name: of the organisation.
        plan: what it is on.
        limits: its own, instead of the plan's.
        now: the time.
    """
    tenant = Tenant(
        tenant_id=tenant_id,
        name=name,
        plan=plan,
        limits=limits or LIMITS[plan],
        usage=CurrentUsage(),
        status="active",
        seq=1,
        created_at=now,
        updated_at=now,
    )
    said = TenantCreated(
        plan=tenant.plan,
        status=tenant.status,
        limits=LimitsState.model_validate(tenant.limits.to_item()),
    )
    created = happened(
        said, event_id=f"{tenant_id}:created", tenant_id=tenant_id, subject=tenant_id, seq=tenant.seq, at=now
    )
    return tenant, created


def create_project(
    tenant_id: str, *, project_id: str, name: str, description: str | None, now: datetime
) -> tuple[Project, Event[ProjectCreated]]:
    """A new, empty project."""
    project = Project(project_id, name, description, seq=1, created_at=now, updated_at=now)
    created = happened(
        ProjectCreated(project_id=project_id),
        event_id=f"{project_id}:created",
        tenant_id=tenant_id,
        subject=project_id,
        seq=project.seq,
        at=now,
    )
    return project, created


def change_project(project: Project, *, name: str, description: str | None, now: datetime) -> Project:
    """The project with another name or description."""
    return replace(project, name=name, description=description, seq=project.seq + 1, updated_at=now)


def delete_project(tenant_id: str, project: Project, *, now: datetime) -> Event[ProjectDeleted]:
    """What is to be said when the project goes."""
    return happened(
        ProjectDeleted(project_id=project.project_id),
        event_id=f"{project.project_id}:deleted",
        tenant_id=tenant_id,
        subject=project.project_id,
        seq=project.seq + 1,
        at=now,
    )


def invite_user(
    tenant_id: str, *, user_id: str, email: str, role: Role, now: datetime
) -> tuple[User, Event[UserInvited]]:
    """A user who may sign in to this tenant from now on."""
    user = User(user_id, email, role, created_at=now)
    invited = happened(
        UserInvited(user_id=user_id, role=role),
        event_id=f"{user_id}:invited",
        tenant_id=tenant_id,
        subject=user_id,
        seq=1,
        at=now,
    )
    return user, invited
