"""Operations on users. The table row is the source of truth, and the user pool is updated from it afterwards."""

from datetime import datetime

from services.tenants.errors import (
    UserExists,
    UserNotFound,
    UserOfAnotherTenant,
)
from services.tenants.tenants.table.tenants import TenantRecord
from services.tenants.users import domain
from services.tenants.users.domain import User, UserChange
from services.tenants.users.gateway.user_pool import UserPool
from services.tenants.users.table.users import UserTable
from shared.errors import InvalidRequest
from shared.preconditions import check_if_match
from shared.storage.store import Store
from shared.tenancy.permissions import Role


def change_user(
    store: Store,
    user_pool: UserPool,
    tenant_id: str,
    user_id: str,
    change: UserChange,
    *,
    now: datetime,
    if_match: str | None = None,
) -> User:
    """Change a user's role, features or address in one transaction. The pool is updated afterwards.

    Raises:
        UserNotFound, UserNotActive: no active user has this id.
        LastTenantAdmin: the change would leave the tenant without an admin.
        UserExists, UserOfAnotherTenant, AddressChanging: the address cannot be used, or not yet.
    """
    users = UserTable(store, tenant_id)
    user = users.get(user_id)
    check_if_match(if_match, user.seq)
    after, event = domain.change_user(tenant_id, user, change, now=now)
    events = [event]
    if (after.role, after.features) == (user.role, user.features):
        after, events = user, []
    if change.email and change.email != user.email:
        _check_address_is_free(user_pool, tenant_id, user, change.email)
        after, event = domain.change_address(tenant_id, after, change.email, now=now)
        events.append(event)
    if events:
        users.save(user, after, *events)
    return after


def _check_address_is_free(user_pool: UserPool, tenant_id: str, user: User, email: str) -> None:
    """Refuse an address that belongs to another user of the pool, as an invitation does. It is the last check."""
    existing = user_pool.find(email)
    if existing and existing.tenant_id != tenant_id:
        raise UserOfAnotherTenant
    if existing and existing.user_id != user.user_id:
        raise UserExists


def disable_user(store: Store, tenant_id: str, user_id: str, *, now: datetime) -> User:
    """Disable a user, who can then no longer sign in but still occupies a seat.

    Raises:
        UserNotFound, UserNotActive: no active user has this id.
        LastTenantAdmin: the change would leave the tenant without an admin.
    """
    users = UserTable(store, tenant_id)
    user = users.get(user_id)
    after, event = domain.disable_user(tenant_id, user, now=now)
    users.save(user, after, event)
    return after


def remove_user(store: Store, tenant_id: str, user_id: str, *, now: datetime, if_match: str | None = None) -> None:
    """Remove a user. The seat is freed once the user pool confirms.

    Raises:
        UserNotFound: the tenant has no user with this id.
        LastTenantAdmin: the removal would leave the tenant without an admin.
    """
    users = UserTable(store, tenant_id)
    user = users.get(user_id)
    check_if_match(if_match, user.seq)
    after, event = domain.remove_user(tenant_id, user, now=now)
    users.save(user, after, event)


def list_users(store: Store, tenant_id: str) -> list[User]:
    """Return all users of a tenant, for operators.

    Raises:
        TenantNotFound: the tenant does not exist.
    """
    TenantRecord(store, tenant_id).get()
    return list(UserTable(store, tenant_id).all())


def tenant_role(role: Role) -> Role:
    """Return the role if a tenant's user can have it.

    Raises:
        InvalidRequest: the role is platform admin.
    """
    if role is Role.PLATFORM_ADMIN:
        msg = "A user cannot be promoted to platform_admin. Create a new platform_admin instead."
        raise InvalidRequest(msg)
    return role


def find_by_address(user_pool: UserPool, email: str) -> tuple[str, str]:
    """Return the ids of the tenant and of the user with this address.

    Raises:
        UserNotFound: no tenant's user has this address.
    """
    existing = user_pool.find(email.strip().lower())
    if existing is None or existing.tenant_id is None:
        raise UserNotFound
    return existing.tenant_id, existing.user_id


def disable_by_address(store: Store, user_pool: UserPool, email: str, *, now: datetime) -> None:
    """Disable the tenant's user or platform admin with this address.

    Raises:
        UserNotFound: no user has this address.
        LastTenantAdmin: the change would leave the tenant without an admin.
    """
    existing = user_pool.find(email.strip().lower())
    if existing is None:
        raise UserNotFound
    if existing.tenant_id is None:
        user_pool.disable(existing.username)
        return
    disable_user(store, existing.tenant_id, existing.user_id, now=now)
