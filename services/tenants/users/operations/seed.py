"""Default tenants and users of a new environment."""

from dataclasses import dataclass
from datetime import datetime

from services.tenants.errors import TenantExists
from services.tenants.tenants.operations import create_tenant
from services.tenants.users.domain import Invitation
from services.tenants.users.gateway.user_pool import PoolUserAttributes, UserPool
from services.tenants.users.operations.invitations import create_user
from shared.plans import Plan
from shared.storage.store import Store
from shared.tenancy.permissions import Feature, Role


@dataclass(frozen=True, slots=True)
class SeedResult:
    """The seeded tenants and users, each with whether it was created now."""

    tenants: dict[str, bool]
    users: dict[PoolUserAttributes, bool]


_DEFAULT_TENANTS = (
    ("demo-org", "Demo Organization", Plan.PRO),
    ("enterprise-test", "Enterprise Test Organization", Plan.ENTERPRISE),
)
_DEFAULT_USERS = (
    PoolUserAttributes("admin@demo-org.com", Role.TENANT_ADMIN, "demo-org", Plan.PRO),
    PoolUserAttributes("dev@demo-org.com", Role.DEVELOPER, "demo-org", Plan.PRO, (Feature.AGENTS, Feature.EXPERIMENTS)),
)


def seed(
    store: Store,
    user_pool: UserPool,
    *,
    platform_admin: str | None,
    temporary_password: str | None,
    now: datetime,
) -> SeedResult:
    """Create the default tenants and users that do not exist.

    Args:
        store: the slice.
        user_pool: the user pool.
        platform_admin: the address of a platform admin to create as well.
        temporary_password: the password of the users until their first sign-in.
        now: the time.
    """
    tenants: dict[str, bool] = {}
    for tenant_id, name, plan in _DEFAULT_TENANTS:
        try:
            create_tenant(store, tenant_id, name=name, plan=plan, now=now)
            tenants[tenant_id] = True
        except TenantExists:
            tenants[tenant_id] = False
    admins = (PoolUserAttributes(platform_admin, Role.PLATFORM_ADMIN, None),) if platform_admin else ()
    users = {
        user: create_user(
            store,
            user_pool,
            user.tenant_id,
            Invitation(user.email, user.role, user.features, now),
            temporary_password=temporary_password,
        )
        for user in (*_DEFAULT_USERS, *admins)
    }
    return SeedResult(tenants, users)
