"""The caller of one request, bound to one tenant."""

from dataclasses import dataclass

from shared.errors import Forbidden, PaymentRequired
from shared.ids import TENANT_ID
from shared.tenancy.claims import Claims
from shared.tenancy.permissions import Feature, Role, effective_features


@dataclass(frozen=True, slots=True)
class TenantContext:
    """Who acts, and in which tenant; nobody acts in more than one at a time."""

    tenant_id: str
    """Empty where an operator looks at all tenants: no key and no credentials can be made of that."""
    principal: str
    """`user:<id>`."""
    role: Role
    features: tuple[str, ...] | None
    """What the token grants; None is all."""
    request_id: str


@dataclass(frozen=True, slots=True)
class Allowance:
    """How much a tenant may use; -1 is unlimited."""

    requests_per_month: int
    tokens_per_month: int
    """Input and output together."""
    storage_gb: int
    overage: bool
    """Whether runs go on above the monthly limits."""
    concurrent_runs: int = -1


@dataclass(frozen=True, slots=True)
class TenantAccess:
    """What a service knows of a tenant to decide what is allowed: a copy of the tenants service's state."""

    tenant_id: str
    seq: int
    status: str
    plan: str
    enabled_features: tuple[str, ...]
    allowance: Allowance


_CLOSED = {"suspended": "The tenant is suspended.", "deleted": "The tenant was deleted."}


def bind(claims: Claims, *, path_tenant: str | None, least: Role, request_id: str) -> TenantContext:
    """The context of a request to this path.

    Raises:
        Forbidden: the path is another tenant's, whether that exists or not, or the role is not enough.
    """
    tenant_id = path_tenant or claims.tenant_id
    of_all = path_tenant is None and least is Role.PLATFORM_ADMIN
    if not of_all and (tenant_id is None or not _is_open(claims, tenant_id)):
        msg = "This path is not open to you."
        raise Forbidden(msg)
    if not claims.role.includes(least):
        msg = f"This needs the role {least.value}."
        raise Forbidden(msg)
    return TenantContext(tenant_id or "", f"user:{claims.user_id}", claims.role, claims.features, request_id)


def _is_open(claims: Claims, tenant_id: str) -> bool:
    """A platform admin may name any tenant, but nothing that is no tenant's id: it becomes part of keys."""
    if claims.role is Role.PLATFORM_ADMIN:
        return TENANT_ID.fullmatch(tenant_id) is not None
    return claims.tenant_id == tenant_id


def check_may_change(
    caller: TenantContext, access: TenantAccess, feature: Feature | None, *, even_unpaid: bool = False
) -> None:
    """Let a change pass only in an active tenant that has the feature.

    Args:
        caller: who asks.
        access: what is known of the tenant.
        feature: that the change needs.
        even_unpaid: it may be suspended by billing.

    Raises:
        PaymentRequired: billing has suspended the tenant.
        Forbidden: an operator has, or the feature is not enabled.
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
