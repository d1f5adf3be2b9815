"""A tenant as it is shown and as it is sent."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from services.tenants.domain import tenant as domain
from services.tenants.domain.settings import Settings
from shared.http.answers import Answer, ListAnswer
from shared.times import Rfc3339

Name = Annotated[str, Field(min_length=1, max_length=200)]
Overage = Literal["block", "allow"]


class Limits(BaseModel):
    """What the tenant may use; -1 is unlimited."""

    max_users: int
    max_projects: int
    max_requests_per_month: int
    max_tokens_per_month: int
    max_storage_gb: int
    max_concurrent_runs: int
    enabled_features: list[str]


class CurrentUsage(BaseModel):
    """What the tenant uses now."""

    users: int
    projects: int
    storage_gb: int
    monthly_requests: int
    monthly_tokens: int


class Tenant(BaseModel):
    """An organisation."""

    tenant_id: str
    name: str
    plan: str
    status: Literal["active", "suspended", "deleting"]
    suspended_by: Literal["operator", "billing"] | None
    grace_until: Rfc3339 | None
    """Until when it stays active though an invoice is unpaid."""
    limits: Limits
    overage: Overage
    current_usage: CurrentUsage
    settings: dict[str, Any]
    created_at: Rfc3339
    updated_at: Rfc3339

    @classmethod
    def of(cls, tenant: domain.Tenant, settings: Settings, *, now: datetime) -> Self:
        """Return the response for a tenant with these settings."""
        return cls(**_fields(tenant, settings, now=now))


class Suspension(BaseModel):
    """An operator's word."""

    model_config = ConfigDict(from_attributes=True)

    reason: str
    abuse: bool
    since: Rfc3339 | None


class AdminTenant(Tenant):
    """An organisation as operators see it."""

    own_limits: dict[str, int | list[str]]
    suspension: Suspension | None
    suspended_by_billing: bool

    @classmethod
    def of(cls, tenant: domain.Tenant, settings: Settings, *, now: datetime) -> Self:
        """Return the operators' response for a tenant with these settings."""
        return cls(
            **_fields(tenant, settings, now=now),
            own_limits={name: _listed(value) for name, value in tenant.own_limits.items()},
            suspension=Suspension.model_validate(tenant.suspension) if tenant.suspension else None,
            suspended_by_billing=tenant.billing.suspended,
        )


class TenantAnswer(Answer):
    """One tenant."""

    tenant: Tenant


class TenantsAnswer(ListAnswer):
    """The caller's tenants."""

    tenants: list[Tenant]


class AdminTenantAnswer(Answer):
    """One tenant, as operators see it."""

    tenant: AdminTenant


class AdminTenantsAnswer(ListAnswer):
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
        "limits": Limits.model_validate(tenant.limits, from_attributes=True),
        "overage": tenant.overage,
        "current_usage": CurrentUsage.model_validate(tenant.usage.in_month(f"{now:%Y-%m}"), from_attributes=True),
        "settings": settings,
        "created_at": tenant.created_at,
        "updated_at": tenant.updated_at,
    }


def _listed(value: int | tuple[str, ...]) -> int | list[str]:
    return list(value) if isinstance(value, tuple) else value
