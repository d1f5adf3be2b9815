"""Import of tenants and users that were created with AWS tools: publishes their missing events."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from services.tenants.errors import TenantNotFound, UserExists
from services.tenants.tenants.operations import announce_tenant
from services.tenants.users import domain as user_domain
from services.tenants.users.domain import Invitation
from services.tenants.users.gateway.user_pool import PoolUser, UserPool
from services.tenants.users.table.users import UserTable
from shared.deadline import remaining_s
from shared.errors import DependencyUnavailable
from shared.failures import facts_of
from shared.observability import logger
from shared.storage.store import Store
from shared.tenancy.permissions import Role


@dataclass(frozen=True, slots=True)
class ImportResult:
    """The result of an import."""

    tenants: list[str] = field(default_factory=list[str])
    users: list[str] = field(default_factory=list[str])
    """The addresses of the imported users."""
    left: dict[str, str] = field(default_factory=dict[str, str])
    """The reasons why tenants and users were not imported, by id or address."""
    next_token: str | None = None
    """The token of the next page of the pool's users. None after the last page."""


def import_existing(
    store: Store, user_pool: UserPool, candidates: Sequence[str], *, now: datetime, token: str | None = None
) -> ImportResult:
    """Publish the events of these tenants, and of all users of the pool that belong to a tenant. It is idempotent.

    The users are read page by page until the invocation's time is over.

    Args:
        store: the slice.
        user_pool: the user pool.
        candidates: the ids of tenants. The caller finds them, because no function may scan a table.
        now: the time.
        token: the `next_token` of the previous call.
    """
    result = ImportResult()
    for tenant_id in candidates:
        try:
            is_announced = announce_tenant(store, tenant_id, now=now)
        except TenantNotFound:
            result.left[tenant_id] = "there is no such tenant"
            continue
        if is_announced:
            UserTable(store, tenant_id).reset_counts()
            result.tenants.append(tenant_id)
    while True:
        found, token = user_pool.page(token)
        for user in found:
            _import_or_skip(store, user, result, now=now)
        if token is None or remaining_s() <= 0:
            return replace(result, next_token=token)


def _import_or_skip(store: Store, user: PoolUser, result: ImportResult, *, now: datetime) -> None:
    """Import a user. A failure does not stop the others."""
    try:
        _import_user(store, user, result, now=now)
    except DependencyUnavailable:
        raise
    except Exception as error:  # noqa: BLE001 — the user is named in the response
        logger.warning("user not imported", user_id=user.user_id, **facts_of(error))
        result.left[user.email] = type(error).__name__


def _import_user(store: Store, user: PoolUser, result: ImportResult, *, now: datetime) -> None:
    if user.tenant_id is None or UserTable(store, user.tenant_id).find(user.user_id):
        return
    role = next((role for role in Role if role == user.role and role is not Role.PLATFORM_ADMIN), None)
    if role is None:
        result.left[user.email] = "custom:role is no role of a tenant"
        return
    try:
        is_normal = user_domain.normalize_address(user.email) == user.email.lower()
    except user_domain.InvalidAddress as error:
        result.left[user.email] = str(error)
        return
    if not is_normal:
        # Another user may have the normal form, and one address belongs to one user.
        result.left[user.email] = "the address is not in its normal form; change it in the pool"
        return
    invitation = Invitation(user.email.lower(), role, user.features, now)
    known, invited = user_domain.invite_user(
        user.tenant_id, invitation, user_id=user.user_id, username=user.username, now=now
    )
    try:
        UserTable(store, user.tenant_id).create_imported(known, invited)
    except TenantNotFound:
        result.left[user.email] = f"there is no tenant {user.tenant_id}"
    except UserExists:
        return
    else:
        result.users.append(known.email)
