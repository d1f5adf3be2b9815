"""What the tenants service says: tenants, users and projects."""

from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from shared.events.envelope import EventData


class TenantEvent(EventData):
    """The owner of these events."""

    OWNER: ClassVar[str] = "tenants"


class LimitsState(BaseModel):
    """What the tenant's plan, or its own limits over it, allow; -1 is unlimited."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    max_users: int
    max_projects: int
    max_requests_per_month: int
    max_tokens_per_month: int
    max_storage_gb: int
    enabled_features: tuple[str, ...]


class TenantState(TenantEvent):
    """The full state of a tenant that other services keep a copy of."""

    plan: str
    status: Literal["active", "suspended", "suspended_by_billing"]
    limits: LimitsState
    overage: Literal["block", "allow"] = "block"
    """Whether runs go on above the monthly limits."""


class TenantCreated(TenantState):
    """A tenant exists."""

    TYPE: ClassVar[str] = "tenant.created.v1"


class UserInvited(TenantEvent):
    """A user can sign in."""

    TYPE: ClassVar[str] = "user.invited.v1"

    user_id: str
    role: str


class ProjectCreated(TenantEvent):
    """Agents can be put into this project."""

    TYPE: ClassVar[str] = "project.created.v1"

    project_id: str


class ProjectDeleted(TenantEvent):
    """The project is gone; its agents stay, outside of any project."""

    TYPE: ClassVar[str] = "project.deleted.v1"

    project_id: str
