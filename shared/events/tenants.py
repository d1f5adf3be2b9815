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
    max_concurrent_runs: int | None = None
    """Null in events from before this limit existed: the plan's applies."""
    enabled_features: tuple[str, ...]


class TenantState(TenantEvent):
    """The full state of a tenant that other services keep a copy of."""

    plan: str
    status: Literal["active", "suspended", "suspended_by_billing", "deleting"]
    limits: LimitsState
    overage: Literal["block", "allow"] = "block"
    """Whether runs go on above the monthly limits."""


class TenantCreated(TenantState):
    """A tenant exists."""

    TYPE: ClassVar[str] = "tenant.created.v1"


class TenantUpdated(TenantState):
    """Its limits, its overage or what only this service shows of it changed."""

    TYPE: ClassVar[str] = "tenant.updated.v1"


class TenantPlanChanged(TenantState):
    """It is on another plan."""

    TYPE: ClassVar[str] = "tenant.plan_changed.v1"


class TenantSuspended(TenantState):
    """Nothing may be changed in it, by an operator's word or by billing's."""

    TYPE: ClassVar[str] = "tenant.suspended.v1"


class TenantReactivated(TenantState):
    """What suspended it is over."""

    TYPE: ClassVar[str] = "tenant.reactivated.v1"


class TenantDeletionRequested(TenantState):
    """It is being deleted: nothing new may begin in it, and what is under way is to end."""

    TYPE: ClassVar[str] = "tenant.deletion_requested.v1"


class TenantDeleted(TenantEvent):
    """It is gone: every service removes what it has of it, and drops whatever it hears of it later."""

    TYPE: ClassVar[str] = "tenant.deleted.v1"


class TenantDataRemoved(TenantEvent):
    """A service has nothing of a deleted tenant any more; every service says it. The subject is the service."""

    TYPE: ClassVar[str] = "tenant.data_removed.v1"

    service: str
    items: int
    """Rows of its slice."""
    objects: int
    """Objects in the bucket, with all their versions."""


class TenantExportRequested(TenantEvent):
    """Somebody wants all that there is of it; the subject is the export."""

    TYPE: ClassVar[str] = "tenant.export_requested.v1"

    export_id: str


class TenantPartExported(TenantEvent):
    """A service has written a part of an export, and there is more to come.

    The subject is the export with the service.
    """

    TYPE: ClassVar[str] = "tenant.part_exported.v1"

    service: str
    export_id: str
    files: int
    """Parts that are there now."""


class TenantDataExported(TenantEvent):
    """A service has written all that it has into an export; every service says it.

    The subject is the export with the service.
    """

    TYPE: ClassVar[str] = "tenant.data_exported.v1"

    service: str
    export_id: str
    files: int
    lines: int
    """In all files."""
    index_key: str
    """Where the list of the files lies in the artifacts bucket."""
    index_sha256: str


class SaidFact(BaseModel):
    """An event that a change has said."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    type: str
    subject: str
    seq: int


class ChangeRecorded(TenantEvent):
    """Somebody has changed something of the tenant's; every service says it, in the transaction of the change.

    The subject is the request.
    """

    TYPE: ClassVar[str] = "change.recorded.v1"

    principal: str
    """`user:<id>`, `service:<name>`, or `operator`."""
    role: str
    action: str
    """`PUT /v1/tenants/{tenant_id}/agents/{agent_id}`, or the command, or the event."""
    target: str
    """The path that was asked for."""
    network: str
    """From where: the first half of the caller's internet number, which names no person."""
    result: Literal["done"] = "done"
    """What was refused has changed nothing."""
    facts: tuple[SaidFact, ...] = ()


SAID_BY_ALL = (TenantPartExported.TYPE, TenantDataExported.TYPE, TenantDataRemoved.TYPE, ChangeRecorded.TYPE)
"""Events that every service emits."""


class UserEvent(TenantEvent):
    """An event of one user, who is named by id alone."""

    user_id: str


class UserInvited(UserEvent):
    """A user can sign in."""

    TYPE: ClassVar[str] = "user.invited.v1"

    role: str


class UserRoleChanged(UserEvent):
    """A user has another role, or other features; tokens that are issued from now on say so."""

    TYPE: ClassVar[str] = "user.role_changed.v1"

    role: str


class UserDisabled(UserEvent):
    """A user may not sign in any more, and keeps the place."""

    TYPE: ClassVar[str] = "user.disabled.v1"


class UserRemoved(UserEvent):
    """A user is no user any more."""

    TYPE: ClassVar[str] = "user.removed.v1"


class ProjectCreated(TenantEvent):
    """Agents can be put into this project."""

    TYPE: ClassVar[str] = "project.created.v1"

    project_id: str


class ProjectDeleted(TenantEvent):
    """The project is gone; its agents stay, outside of any project."""

    TYPE: ClassVar[str] = "project.deleted.v1"

    project_id: str
