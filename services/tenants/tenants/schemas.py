"""Request and response models of tenants."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field

from services.tenants.tenants.domain import tenant as domain
from services.tenants.tenants.domain.limits import LimitsPatch
from services.tenants.tenants.domain.settings import Settings
from services.tenants.tenants.domain.tenant import TenantChange
from shared.freejson import FreeObject, FreeText, Line
from shared.http.responses import ListResponse, ResponseBody
from shared.ids import TENANT_ID
from shared.plans import Plan
from shared.schema import DocumentedModel
from shared.times import Rfc3339

Name = Annotated[Line, Field(min_length=1, max_length=200)]
PlanName = Literal["free", "pro", "enterprise"]
Overage = Literal["block", "allow"]


class TenantPatch(DocumentedModel):
    """A JSON merge patch (RFC 7396) of the fields that a tenant's admin may change. Absent fields do not change."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={"examples": [{"name": "Demo Organization Inc."}]},
    )

    name: Name = Field(default_factory=str)
    settings: FreeObject = Field(default_factory=dict)
    """A merge patch of the settings, which may have 16 KB in total."""
    overage: Overage = Field(default_factory=lambda: "block")
    """`allow`: runs continue above the monthly limits, on plans that price usage. `block`: they are refused."""


class NewTenant(DocumentedModel):
    """The request to create a tenant."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={"examples": [{"tenant_id": "new-org", "name": "New Organization", "plan": "pro"}]},
    )

    tenant_id: Annotated[str, Field(pattern=f"^{TENANT_ID.pattern}$")]
    """A slug, which is never reused."""
    name: Name
    plan: PlanName
    limits: LimitsPatch = Field(default_factory=LimitsPatch)
    """Limits that override those of the plan."""


class AdminTenantPatch(DocumentedModel):
    """A JSON merge patch (RFC 7396) of a tenant. Absent fields do not change."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={"examples": [{"limits": {"max_users": 25}}]},
    )

    name: Name = Field(default_factory=str)
    plan: PlanName = Field(default_factory=lambda: "free")
    limits: LimitsPatch = Field(default_factory=LimitsPatch)
    """Limits that override those of the plan. Absent limits do not change."""
    overage: Overage = Field(default_factory=lambda: "block")
    """`allow`: runs continue above the monthly limits. `block`: they are refused."""

    @property
    def change(self) -> TenantChange:
        """The change that the request asks for."""
        sent = self.model_fields_set
        return TenantChange(
            name=self.name or None,
            plan=Plan(self.plan) if "plan" in sent else None,
            limits=self.limits.sent,
            overage=self.overage if "overage" in sent else None,
        )


class NewSuspension(DocumentedModel):
    """The request to suspend a tenant, with the reason."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={"examples": [{"reason": "The usage looks like abuse."}]},
    )

    reason: Annotated[FreeText, Field(min_length=1, max_length=500)]
    """Shown to operators only."""
    abuse: bool = False
    """Whether the reason is abuse."""


class TenantLimits(DocumentedModel):
    """The limits of a tenant. -1 means unlimited."""

    max_users: int
    max_projects: int
    max_requests_per_month: int
    """Runs and reported requests per month in UTC."""
    max_tokens_per_month: int
    """Input and output tokens per month in UTC."""
    max_storage_gb: int
    """In GB (10^9 bytes)."""
    max_concurrent_runs: int
    """Runs that execute at the same time; further runs wait."""
    enabled_features: list[str]
    """The features that changes may require, for example `agents`; `all` enables all of them."""


class TenantUsage(DocumentedModel):
    """The current usage of a tenant."""

    users: int
    """Users, and invitations that are not completed yet."""
    projects: int
    storage_gb: int
    """Stored bytes, in GB (10^9 bytes)."""
    monthly_requests: int
    """In the current month, in UTC."""
    monthly_tokens: int
    """Input and output tokens in the current month, in UTC."""


class Tenant(DocumentedModel):
    """An organization that uses the platform."""

    tenant_id: str
    name: str
    plan: str
    status: Literal["active", "suspended", "deleting"]
    suspended_by: Literal["operator", "billing"] | None
    """Null unless `status` is `suspended`."""
    grace_until: Rfc3339 | None
    """End of the grace period for an unpaid invoice; null without one."""
    limits: TenantLimits
    overage: Overage
    """`allow`: runs continue above the monthly limits. `block`: they are refused."""
    current_usage: TenantUsage
    settings: dict[str, Any]
    """The tenant's own settings. In a list of all tenants, settings over 16 KB are replaced by their size."""
    created_at: Rfc3339
    updated_at: Rfc3339

    @classmethod
    def of(cls, tenant: domain.Tenant, settings: Settings, *, now: datetime) -> Self:
        """Return the response body of a tenant with these settings."""
        return cls(**_fields(tenant, settings, now=now))


class Suspension(DocumentedModel):
    """A suspension by an operator."""

    model_config = ConfigDict(from_attributes=True)

    reason: str
    abuse: bool
    since: Rfc3339 | None
    """Null if the time is unknown."""


class AdminTenant(Tenant):
    """A tenant with the fields that only operators see."""

    own_limits: dict[str, int | list[str]]
    """The limits that override those of the plan."""
    suspension: Suspension | None
    """Null if no operator has suspended the tenant."""
    suspended_by_billing: bool
    """Whether billing has suspended the tenant because of an unpaid invoice."""

    @classmethod
    def of(cls, tenant: domain.Tenant, settings: Settings, *, now: datetime) -> Self:
        """Return the operators' response body of a tenant with these settings."""
        return cls(
            **_fields(tenant, settings, now=now),
            own_limits={name: _listed(value) for name, value in tenant.own_limits.items()},
            suspension=Suspension.model_validate(tenant.suspension) if tenant.suspension else None,
            suspended_by_billing=tenant.billing.suspended,
        )


class TenantResponse(ResponseBody):
    """The response with one tenant."""

    tenant: Tenant


class TenantsResponse(ListResponse):
    """The response with the caller's tenants."""

    tenants: list[Tenant]


class AdminTenantResponse(ResponseBody):
    """The operators' response with one tenant."""

    tenant: AdminTenant


class AdminTenantsResponse(ListResponse):
    """A page of all tenants, newest first."""

    tenants: list[AdminTenant]


def _fields(tenant: domain.Tenant, settings: Settings, *, now: datetime) -> Mapping[str, Any]:
    status = tenant.status
    by = {"suspended": "operator", "suspended_by_billing": "billing"}.get(status)
    return {
        "tenant_id": tenant.tenant_id,
        "name": tenant.name,
        "plan": tenant.plan,
        "status": "suspended" if by else status,
        "suspended_by": by,
        "grace_until": tenant.billing.grace_until,
        "limits": TenantLimits.model_validate(tenant.limits, from_attributes=True),
        "overage": tenant.overage,
        "current_usage": TenantUsage.model_validate(tenant.usage.in_month(f"{now:%Y-%m}"), from_attributes=True),
        "settings": settings,
        "created_at": tenant.created_at,
        "updated_at": tenant.updated_at,
    }


def _listed(value: int | tuple[str, ...]) -> int | list[str]:
    return list(value) if isinstance(value, tuple) else value
