"""Operations that update the user pool from the table, whose rows are the source of truth."""

from contextlib import suppress

from services.tenants.errors import (
    AddressNotValid,
    AddressTaken,
    UserChangedMeanwhile,
    UserPoolUnavailable,
)
from services.tenants.tenants.table.tenants import TenantRecord
from services.tenants.users import domain
from services.tenants.users.domain import User, UserStatus
from services.tenants.users.gateway.user_pool import PoolUserAttributes, UserPool
from services.tenants.users.table.users import UserTable
from shared.audit import recorded
from shared.observability import logger
from shared.scope import Change
from shared.storage.store import Store

_MAX_SYNC_ATTEMPTS = 5


def sync_user(store: Store, user_pool: UserPool, tenant_id: str, user_id: str) -> None:
    """Update the user pool from the user's current row. It is idempotent, and calls may come in any order.

    Raises:
        UserPoolUnavailable: the pool does not respond, or the row was changed during each of five attempts.
    """
    users = UserTable(store, tenant_id)
    for _ in range(_MAX_SYNC_ATTEMPTS):
        user = users.find(user_id)
        if user is None:
            return
        _sync_to_pool(store, user_pool, tenant_id, user)
        # Of two concurrent updates, the one with the older row may have been the last to write.
        existing = users.find(user_id)
        if existing is None or existing.seq == user.seq:
            return
    raise UserPoolUnavailable


def _sync_to_pool(store: Store, user_pool: UserPool, tenant_id: str, user: User) -> None:
    match user.status:
        case UserStatus.REMOVING:
            user_pool.remove(user.username)
            UserTable(store, tenant_id).remove(user)
        case UserStatus.DISABLED:
            user_pool.disable(user.username)
            if user.email_before:
                _update_pool(store, user_pool, tenant_id, user)
        case UserStatus.ACTIVE:
            _update_pool(store, user_pool, tenant_id, user)


def _update_pool(store: Store, user_pool: UserPool, tenant_id: str, user: User) -> None:
    """Update the pool's attributes from the row. If the pool refuses a new address, restore the previous one."""
    plan = TenantRecord(store, tenant_id).get().plan
    try:
        user_pool.update(user.username, PoolUserAttributes(user.email, user.role, tenant_id, plan, user.features))
    except (AddressTaken, AddressNotValid) as error:
        logger.warning("address refused", tenant_id=tenant_id, user_id=user.user_id, error=type(error).__name__)
        pooled = user.email_before or user_pool.address_of(user.username)
        if pooled is None or pooled == user.email:
            return
        after, event = domain.restore_address(tenant_id, user, email_before=pooled)
        # The event names the record, so that a repetition records the same change.
        refused = Change(event.id, "service:tenants", "", event.type, "", "", event.occurred_at)
        # A user who was changed meanwhile is read again by the caller.
        with suppress(UserChangedMeanwhile), recorded(refused):
            UserTable(store, tenant_id).save(user, after, event)
        return
    if user.email_before:
        UserTable(store, tenant_id).confirm_address(user)


def remove_all_users(user_pool: UserPool, tenant_id: str) -> None:
    """Delete all users of a tenant from the pool, including those that were created with AWS tools."""
    for user in user_pool.all():
        if user.tenant_id == tenant_id:
            user_pool.remove(user.username)
