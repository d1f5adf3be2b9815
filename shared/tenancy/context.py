"""The caller of one request, bound to one tenant."""

from dataclasses import dataclass
from typing import Literal

from shared.errors import Forbidden, PaymentRequired
from shared.ids import TENANT_ID
from shared.tenancy.claims import Claims
from shared.tenancy.permissions import Feature, Role, effective_features


@dataclass(frozen=True, slots=True)
class OperatorContext:
    """A platform admin on a path of all tenants. It has no tenant, so no key and no credentials can be made from it."""

    principal: str
    """`user:<id>`."""
    role: Role
    request_id: str


@dataclass(frozen=True, slots=True)
class TenantContext:
    """A caller and the one tenant in which it acts."""

    tenant_id: str
    principal: str
    """The user, `user:<id>`."""
    role: Role
    features: tuple[str, ...] | None
    """The features that the token grants; None grants all."""
    request_id: str


@dataclass(frozen=True, slots=True)
class Allowance:
    """The amounts that a tenant may use; -1 means unlimited."""

    requests_per_month: int
    tokens_per_month: int
    """Input and output combined."""
    storage_gb: int
    overage: bool
    """Whether runs continue above the monthly limits."""
    concurrent_runs: int = -1


@dataclass(frozen=True, slots=True)
class TenantAccess:
    """A service's copy of the state of a tenant, from which it decides about permissions."""

    tenant_id: str
    seq: int
    status: str
    plan: str
    enabled_features: tuple[str, ...]
    allowance: Allowance
    lint_gate: Literal["off", "warn", "block"] = "warn"
    """The effect of lint errors on a version of an agent or prompt that is to go live."""


_CLOSED = {"suspended": "The tenant is suspended.", "deleted": "The tenant was deleted."}


def bind(
    claims: Claims, *, path_tenant: str | None, min_role: Role, request_id: str
) -> TenantContext | OperatorContext:
    """Return the context of a request.

    Args:
        claims: of the caller's token.
        path_tenant: the tenant that the path names; a path without one is the caller's own tenant's, or of all tenants
            if the caller is a platform admin.
        min_role: the lowest role with access.
        request_id: of the request.

    Raises:
        Forbidden: the path belongs to another tenant, whether that exists or not, or the role does not suffice.
    """
    principal, role = f"user:{claims.user_id}", claims.role
    if path_tenant is None and Role.PLATFORM_ADMIN in {role, min_role}:
        _check_role(role, min_role)
        return OperatorContext(principal, role, request_id)
    tenant_id = path_tenant or claims.tenant_id
    if tenant_id is None or not _is_open(claims, tenant_id):
        msg = "You do not have access to this resource."
        raise Forbidden(msg)
    _check_role(role, min_role)
    return TenantContext(tenant_id, principal, role, claims.features, request_id)


def _check_role(role: Role, min_role: Role) -> None:
    if not role.includes(min_role):
        msg = f"This needs the role {min_role.value}."
        raise Forbidden(msg)


def _is_open(claims: Claims, tenant_id: str) -> bool:
    """Return whether the caller may act in a tenant. An admin needs a valid id, because it becomes part of keys."""
    if claims.role is Role.PLATFORM_ADMIN:
        return TENANT_ID.fullmatch(tenant_id) is not None
    return claims.tenant_id == tenant_id


def check_may_change(
    caller: TenantContext, access: TenantAccess, feature: Feature | None, *, even_unpaid: bool = False
) -> None:
    """Check that a tenant is active and has the feature that a change requires.

    Args:
        caller: the caller of the request.
        access: the copy of the tenant's state.
        feature: the feature that the change requires; None if it requires none.
        even_unpaid: whether the change is allowed while billing has suspended the tenant.

    Raises:
        PaymentRequired: billing has suspended the tenant.
        Forbidden: the tenant is suspended by an operator or deleted, or the feature is not enabled.
    """
    unpaid = access.status == "suspended_by_billing"
    if unpaid and not even_unpaid:
        msg = "The tenant is suspended until its invoices are paid."
        raise PaymentRequired(msg)
    if access.status != "active" and not unpaid:
        raise Forbidden(_CLOSED.get(access.status, "The tenant is being deleted."))
    if feature and feature not in effective_features(caller.features, access.enabled_features):
        msg = f"This needs the feature {feature.value}."
        raise Forbidden(msg)
