"""Operations that create users. The pool is called first, because it generates the user's id.

The seat is taken before, so that a crash at any step leaves a counted user and an invitation that a retry or the sweep
finishes.
"""

from datetime import datetime

from services.tenants.errors import (
    AddressNotValid,
    TenantNotFound,
    UserExists,
    UserOfAnotherTenant,
)
from services.tenants.tenants.table.tenants import TenantRecord
from services.tenants.users import domain
from services.tenants.users.domain import Invitation, User
from services.tenants.users.gateway.user_pool import PoolUserAttributes, UserPool
from services.tenants.users.table.invitations import INVITATIONS, InvitationTable
from services.tenants.users.table.users import UserTable
from shared.errors import InvalidRequest
from shared.observability import logger
from shared.plans import Plan
from shared.storage.due import DueEntry, DueQueue
from shared.storage.idempotency import AlreadyDone, IdempotencyKey
from shared.storage.store import Store
from shared.sweep import Swept, sweep
from shared.tenancy.permissions import Role


def invite_user(
    store: Store,
    user_pool: UserPool,
    tenant_id: str,
    invitation: Invitation,
    *,
    temporary_password: str | None = None,
    now: datetime,
    idempotency_key: IdempotencyKey | None = None,
) -> User:
    """Create a user who can sign in to the tenant.

    Raises:
        TenantNotFound: the tenant does not exist.
        UserExists: the tenant already has this user.
        UserOfAnotherTenant, AddressNotValid: the address cannot be used.
        UserLimitReached: the tenant has the maximum number of users.
    """
    plan = TenantRecord(store, tenant_id).get().plan
    existing = user_pool.find(invitation.email)
    if existing and existing.tenant_id != tenant_id:
        raise UserOfAnotherTenant
    if existing and UserTable(store, tenant_id).find(existing.user_id):
        raise UserExists
    InvitationTable(store, tenant_id).reserve_seat(invitation)
    return _finish_invitation(
        store,
        user_pool,
        tenant_id,
        invitation,
        plan=plan,
        temporary_password=temporary_password,
        now=now,
        idempotency_key=idempotency_key,
    )


def _finish_invitation(
    store: Store,
    user_pool: UserPool,
    tenant_id: str,
    invitation: Invitation,
    *,
    plan: Plan,
    temporary_password: str | None,
    now: datetime,
    idempotency_key: IdempotencyKey | None = None,
) -> User:
    """Finish an invitation whose seat is taken. Each step is idempotent."""
    attributes = PoolUserAttributes(invitation.email, invitation.role, tenant_id, plan, invitation.features)
    try:
        pool_ids = user_pool.ensure(attributes, temporary_password=temporary_password)
    except (UserOfAnotherTenant, AddressNotValid):
        InvitationTable(store, tenant_id).release_seat(invitation.email)
        raise
    user, invited = domain.invite_user(
        tenant_id, invitation, user_id=pool_ids.user_id, username=pool_ids.username, now=now
    )
    try:
        UserTable(store, tenant_id).create(user, invited, idempotency_key=idempotency_key)
    except (UserExists, AlreadyDone):
        # A concurrent request has created the user. If this one has taken a second seat, it is freed.
        InvitationTable(store, tenant_id).release_seat(invitation.email)
        raise
    return user


def finish_invitations(store: Store, user_pool: UserPool, *, now: datetime) -> Swept:
    """Finish the invitations that a crash interrupted. The results are the ids of the created users."""
    queue = DueQueue(store, INVITATIONS, InvitationTable)

    def finish(entry: DueEntry) -> str | None:
        invitation = queue.load(entry)
        if invitation is None:
            return None
        tenant_id = entry.tenant_id
        try:
            plan = TenantRecord(store, tenant_id).get().plan
            user = _finish_invitation(
                store, user_pool, tenant_id, invitation, plan=plan, temporary_password=None, now=now
            )
        except (TenantNotFound, UserExists, UserOfAnotherTenant, AddressNotValid) as error:
            logger.warning("invitation taken back", tenant_id=tenant_id, error=type(error).__name__)
            return None
        return user.user_id

    return sweep(queue, finish, now=now)


def create_user(
    store: Store,
    user_pool: UserPool,
    tenant_id: str | None,
    invitation: Invitation,
    *,
    temporary_password: str | None,
) -> bool:
    """Create a user or platform admin if it does not exist. Return whether it was created now.

    No other operation creates platform admins.

    Raises:
        InvalidRequest: a tenant was given for a platform admin, or none for another role.
    """
    if (tenant_id is None) != (invitation.role is Role.PLATFORM_ADMIN):
        msg = "Omit the tenant for a platform_admin; every other role requires one."
        raise InvalidRequest(msg)
    if tenant_id is None:
        admin = PoolUserAttributes(invitation.email, invitation.role, None)
        return user_pool.ensure(admin, temporary_password=temporary_password).created
    try:
        invite_user(
            store, user_pool, tenant_id, invitation, temporary_password=temporary_password, now=invitation.invited_at
        )
    except UserExists:
        return False
    return True
