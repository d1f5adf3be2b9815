"""The default tenants and users, and what was made with AWS tools alone."""

from dataclasses import dataclass
from datetime import datetime

from services.tenants.domain.user import Invitation
from services.tenants.errors import TenantExists
from services.tenants.gateways.identity import Identity, NewUser
from services.tenants.operations.tenants import create_tenant
from services.tenants.operations.users import create_user
from shared.plans import Plan
from shared.storage.store import Store
from shared.tenancy.permissions import Feature, Role


@dataclass(frozen=True, slots=True)
class Seeded:
    """What the seed found or made: each id with whether it was made now."""

    tenants: dict[str, bool]
    users: dict[NewUser, bool]


_DEFAULT_TENANTS = (
    ("demo-org", "Demo Organization", Plan.PRO),
    ("enterprise-test", "Enterprise Test Organization", Plan.ENTERPRISE),
)
_DEFAULT_USERS = (
    NewUser("admin@demo-org.com", Role.TENANT_ADMIN, "demo-org", Plan.PRO),
    NewUser("dev@demo-org.com", Role.DEVELOPER, "demo-org", Plan.PRO, (Feature.AGENTS, Feature.EXPERIMENTS)),
)


def seed(
    store: Store,
    identity: Identity,
    *,
    platform_admin: str | None,
    temporary_password: str | None,
    now: datetime,
) -> Seeded:
    """The default tenants and users, each made unless it is there.

    Args:
        store: the slice.
        identity: the user pool.
        platform_admin: address of a platform admin to make as well.
        temporary_password: of the users.
        now: the time.
    """
    tenants: dict[str, bool] = {}
    for tenant_id, name, plan in _DEFAULT_TENANTS:
        try:
            create_tenant(store, tenant_id, name=name, plan=plan, now=now)
            tenants[tenant_id] = True
        except TenantExists:
            tenants[tenant_id] = False
    admins = (NewUser(platform_admin, Role.PLATFORM_ADMIN, None),) if platform_admin else ()
    users = {
        user: create_user(
            store,
            identity,
            user.tenant_id,
            Invitation(user.email, user.role, user.features, now),
            temporary_password=temporary_password,
        )
        for user in (*_DEFAULT_USERS, *admins)
    }
    return Seeded(tenants, users)
