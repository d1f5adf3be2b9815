"""Events of the tenants service: tenants, users and projects."""

from typing import ClassVar, Literal

from pydantic import ConfigDict

from shared.events.envelope import EventData
from shared.schema import DocumentedModel


class TenantEvent(EventData):
    """Base of the events of the tenants service."""

    OWNER: ClassVar[str] = "tenants"


class LimitsState(DocumentedModel):
    """The limits of a tenant, from its plan or set individually; -1 means unlimited."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    max_users: int
    max_projects: int
    max_requests_per_month: int
    max_tokens_per_month: int
    max_storage_gb: int
    max_concurrent_runs: int | None = None
    """Null in events from before this limit existed; the plan's limit applies then."""
    enabled_features: tuple[str, ...]


class TenantState(TenantEvent):
    """The full state of a tenant, for services that keep a copy."""

    plan: str
    status: Literal["active", "suspended", "suspended_by_billing", "deleting"]
    limits: LimitsState
    overage: Literal["block", "allow"] = "block"
    """Whether runs continue above the monthly limits."""
    lint_gate: Literal["off", "warn", "block"] = "warn"
    """The effect of lint errors on a version of an agent or prompt that is to go live."""


class TenantCreated(TenantState):
    """A tenant was created."""

    TYPE: ClassVar[str] = "tenant.created.v1"


class TenantUpdated(TenantState):
    """The limits, the overage setting or the details of a tenant changed."""

    TYPE: ClassVar[str] = "tenant.updated.v1"


class TenantPlanChanged(TenantState):
    """The plan of a tenant changed."""

    TYPE: ClassVar[str] = "tenant.plan_changed.v1"


class TenantSuspended(TenantState):
    """A tenant was suspended by an operator or by billing: nothing may be changed in it."""

    TYPE: ClassVar[str] = "tenant.suspended.v1"


class TenantReactivated(TenantState):
    """The suspension of a tenant ended."""

    TYPE: ClassVar[str] = "tenant.reactivated.v1"


class TenantDeletionRequested(TenantState):
    """The deletion of a tenant was requested: nothing new may start in it, and work in progress must end."""

    TYPE: ClassVar[str] = "tenant.deletion_requested.v1"


class TenantDeleted(TenantEvent):
    """A tenant was deleted. Every service removes the tenant's data, and ignores later events."""

    TYPE: ClassVar[str] = "tenant.deleted.v1"


class TenantDataRemoved(TenantEvent):
    """A service removed all data of a deleted tenant. Every service publishes this; the subject is the service."""

    TYPE: ClassVar[str] = "tenant.data_removed.v1"

    service: str
    items: int
    """The number of items deleted from the slice."""
    objects: int
    """The number of objects deleted from the bucket, including all versions."""


class TenantExportRequested(TenantEvent):
    """An export of all data of a tenant was requested; the subject is the export."""

    TYPE: ClassVar[str] = "tenant.export_requested.v1"

    export_id: str


class TenantPartExported(TenantEvent):
    """A service wrote a part of an export, and more parts follow.

    The subject is the export with the service.
    """

    TYPE: ClassVar[str] = "tenant.part_exported.v1"

    service: str
    export_id: str
    files: int
    """The number of parts written so far."""


class TenantDataExported(TenantEvent):
    """A service wrote all its data into an export. Every service publishes this.

    The subject is the export with the service.
    """

    TYPE: ClassVar[str] = "tenant.data_exported.v1"

    service: str
    export_id: str
    files: int
    lines: int
    """The number of lines in all files."""
    index_key: str
    """The key of the list of files in the artifacts bucket."""
    index_sha256: str


class AuditFact(DocumentedModel):
    """An event that a change emitted."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    type: str
    subject: str
    seq: int


class ChangeRecorded(TenantEvent):
    """A change was made in a tenant. Every service publishes this in the transaction of the change.

    The subject is the request.
    """

    TYPE: ClassVar[str] = "change.recorded.v1"

    principal: str
    """`user:<id>`, `service:<name>`, or `operator`."""
    role: str
    action: str
    """The route, for example `PUT /v1/tenants/{tenant_id}/agents/{agent_id}`, or the command, or the event."""
    target: str
    """The path of the request."""
    network: str
    """The network of the caller: the leading bits of its IP address, which identify no person."""
    result: Literal["done"] = "done"
    """Refused requests are not recorded, because they change nothing."""
    facts: tuple[AuditFact, ...] = ()


PUBLISHED_BY_ALL = (TenantPartExported.TYPE, TenantDataExported.TYPE, TenantDataRemoved.TYPE, ChangeRecorded.TYPE)
"""Events that every service emits."""


class UserEvent(TenantEvent):
    """An event of one user, identified by id only."""

    user_id: str


class UserInvited(UserEvent):
    """A user was invited and can sign in."""

    TYPE: ClassVar[str] = "user.invited.v1"

    role: str


class UserRoleChanged(UserEvent):
    """The role or the features of a user changed; tokens issued from now on contain the new ones."""

    TYPE: ClassVar[str] = "user.role_changed.v1"

    role: str


class UserEmailChanged(UserEvent):
    """A user signs in with another address, which the event does not name."""

    TYPE: ClassVar[str] = "user.email_changed.v1"


class UserDisabled(UserEvent):
    """A user was disabled: it can no longer sign in, but keeps its seat."""

    TYPE: ClassVar[str] = "user.disabled.v1"


class UserRemoved(UserEvent):
    """A user was removed."""

    TYPE: ClassVar[str] = "user.removed.v1"


class ProjectCreated(TenantEvent):
    """A project was created and can hold agents."""

    TYPE: ClassVar[str] = "project.created.v1"

    project_id: str


class ProjectDeleted(TenantEvent):
    """A project was deleted; its agents remain, without a project."""

    TYPE: ClassVar[str] = "project.deleted.v1"

    project_id: str
