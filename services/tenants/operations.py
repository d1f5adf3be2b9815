"""What the tenants service can do: load, decide, save."""

from dataclasses import dataclass
from datetime import datetime

from services.tenants import domain, table
from services.tenants.domain import Project, Tenant, User
from services.tenants.errors import TenantExists
from services.tenants.gateways.identity import Identity, NewUser
from shared.http.etag import check_if_match
from shared.plans import Limits, Plan
from shared.storage.idempotency import Once
from shared.storage.store import Store
from shared.tenancy.permissions import Feature, Role


@dataclass(frozen=True, slots=True)
class ProjectChange:
    """What to change of a project: a merge patch, where absent means as it was."""

    name: str | None = None
    description: str | None = None
    clears_description: bool = False


def create_tenant(
    store: Store, tenant_id: str, *, name: str, plan: Plan, limits: Limits | None = None, now: datetime
) -> Tenant:
    """A new tenant; the other services hear of it."""
    tenant, created = domain.create_tenant(tenant_id, name=name, plan=plan, limits=limits, now=now)
    table.add_tenant(store, tenant, created)
    return tenant


def create_project(
    store: Store,
    tenant_id: str,
    *,
    project_id: str,
    name: str,
    description: str | None,
    now: datetime,
    once: Once | None = None,
) -> Project:
    """A new project, if the plan allows one more."""
    project, created = domain.create_project(
        tenant_id, project_id=project_id, name=name, description=description, now=now
    )
    table.add_project(store, tenant_id, project, created, once=once)
    return project


def change_project(
    store: Store, tenant_id: str, project_id: str, change: ProjectChange, *, now: datetime, if_match: str | None
) -> Project:
    """Merge a change into a project."""
    project = table.get_project(store, tenant_id, project_id)
    check_if_match(if_match, project.seq)
    description = project.description if change.description is None else change.description
    if change.clears_description:
        description = None
    changed = domain.change_project(project, name=change.name or project.name, description=description, now=now)
    table.save_project(store, tenant_id, changed)
    return changed


def delete_project(store: Store, tenant_id: str, project_id: str, *, now: datetime, if_match: str | None) -> None:
    """Delete a project; its agents stay."""
    project = table.get_project(store, tenant_id, project_id)
    check_if_match(if_match, project.seq)
    table.remove_project(store, tenant_id, project, domain.delete_project(tenant_id, project, now=now))


def ensure_user(
    store: Store, identity: Identity, user: NewUser, *, temporary_password: str | None, now: datetime
) -> bool:
    """Let someone sign in; says whether that is new. Carried out again, it finishes what was begun."""
    signs_in = identity.ensure(user, temporary_password=temporary_password)
    if user.tenant_id is None or table.find_user(store, user.tenant_id, signs_in.user_id):
        return signs_in.created
    known, invited = domain.invite_user(
        user.tenant_id, user_id=signs_in.user_id, email=user.email, role=user.role, now=now
    )
    table.add_user(store, user.tenant_id, known, invited)
    return True


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
        user: ensure_user(store, identity, user, temporary_password=temporary_password, now=now)
        for user in (*_DEFAULT_USERS, *admins)
    }
    return Seeded(tenants, users)


def list_users(store: Store, tenant_id: str) -> list[User]:
    """All users of a tenant.

    Raises:
        TenantNotFound: there is no such tenant.
    """
    table.get_tenant(store, tenant_id)
    return table.list_users(store, tenant_id)
