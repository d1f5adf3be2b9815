"""Users: the row is the truth, the user pool follows it.

Inviting is the one case in which the pool is asked first, because it makes the user's id. The place is taken before, so
that a crash at any step leaves a user who is counted, and an invitation that the next try or the sweep finishes.
"""

from datetime import datetime

from services.tenants.domain import user as domain
from services.tenants.domain.user import Invitation, User, UserChange, UserStatus
from services.tenants.errors import (
    AddressNotValid,
    IdentityUnavailable,
    TenantNotFound,
    UserExists,
    UserNotFound,
    UserOfAnotherTenant,
)
from services.tenants.gateways.identity import Identity, NewUser
from services.tenants.table import tenants
from services.tenants.table import users as table
from shared.errors import InvalidRequest
from shared.http.etag import check_if_match
from shared.observability import logger
from shared.plans import Plan
from shared.storage.idempotency import AlreadyDone, Once
from shared.storage.store import Store
from shared.tenancy.permissions import Role

_TRIES = 5


def invite_user(
    store: Store,
    identity: Identity,
    tenant_id: str,
    asked: Invitation,
    *,
    temporary_password: str | None = None,
    now: datetime,
    once: Once | None = None,
) -> User:
    """Let someone sign in to the tenant, if the plan allows one more.

    Raises:
        TenantNotFound: there is no such tenant.
        UserExists: the tenant has this user already.
        UserOfAnotherTenant, AddressNotValid: the address cannot be used.
        UserLimitReached: the plan allows no more.
    """
    plan = tenants.get_tenant(store, tenant_id).plan
    there = identity.find(asked.email)
    if there and there.tenant_id != tenant_id:
        raise UserOfAnotherTenant
    if there and table.find_user(store, tenant_id, there.user_id):
        raise UserExists
    table.take_place_for(store, tenant_id, asked)
    return _finish(
        store, identity, tenant_id, asked, plan=plan, temporary_password=temporary_password, now=now, once=once
    )


def _finish(
    store: Store,
    identity: Identity,
    tenant_id: str,
    asked: Invitation,
    *,
    plan: Plan,
    temporary_password: str | None,
    now: datetime,
    once: Once | None = None,
) -> User:
    """The part of an invitation that comes after its place was taken; each step may be done again."""
    wanted = NewUser(asked.email, asked.role, tenant_id, plan, asked.features)
    try:
        signs_in = identity.ensure(wanted, temporary_password=temporary_password)
    except (UserOfAnotherTenant, AddressNotValid):
        table.give_place_of(store, tenant_id, asked.email)
        raise
    user, invited = domain.invite_user(tenant_id, asked, user_id=signs_in.user_id, username=signs_in.username, now=now)
    try:
        table.add_user(store, tenant_id, user, invited, once=once)
    except (UserExists, AlreadyDone):
        # Another one was faster, so this one's place, if it is a second one, is one too many.
        table.give_place_of(store, tenant_id, asked.email)
        raise
    return user


def change_user(
    store: Store, tenant_id: str, user_id: str, change: UserChange, *, now: datetime, if_match: str | None = None
) -> User:
    """Give a user another role, or other features.

    Raises:
        UserNotFound, UserNotActive: there is nobody whose role could change.
        LastTenantAdmin: nobody could administer the tenant any more.
    """
    user = table.get_user(store, tenant_id, user_id)
    check_if_match(if_match, user.seq)
    after, said = domain.change_user(tenant_id, user, change, now=now)
    if (after.role, after.features) == (user.role, user.features):
        return user
    table.save_user(store, tenant_id, user, after, said)
    return after


def disable_user(store: Store, tenant_id: str, user_id: str, *, now: datetime) -> User:
    """Let a user not sign in any more; the place stays taken.

    Raises:
        UserNotFound, UserNotActive: there is nobody to disable.
        LastTenantAdmin: nobody could administer the tenant any more.
    """
    user = table.get_user(store, tenant_id, user_id)
    after, said = domain.disable_user(tenant_id, user, now=now)
    table.save_user(store, tenant_id, user, after, said)
    return after


def remove_user(store: Store, tenant_id: str, user_id: str, *, now: datetime, if_match: str | None = None) -> None:
    """Let a user be none any more; the place is given back when the pool has let go.

    Raises:
        UserNotFound: there is no such user.
        LastTenantAdmin: nobody could administer the tenant any more.
    """
    user = table.get_user(store, tenant_id, user_id)
    check_if_match(if_match, user.seq)
    after, said = domain.remove_user(tenant_id, user, now=now)
    table.save_user(store, tenant_id, user, after, said)


def follow_user(store: Store, identity: Identity, tenant_id: str, user_id: str) -> None:
    """Bring the pool to what the row says now; asked at every change, in any order, as often as one likes.

    Raises:
        IdentityUnavailable: the pool does not answer, or the row changes without an end.
    """
    for _ in range(_TRIES):
        user = table.find_user(store, tenant_id, user_id)
        if user is None:
            return
        _bring(store, identity, tenant_id, user)
        # Of two that do this at once, the one with the older row may have been the last to write.
        there = table.find_user(store, tenant_id, user_id)
        if there is None or there.seq == user.seq:
            return
    raise IdentityUnavailable


def follow_plan(store: Store, identity: Identity, tenant_id: str) -> None:
    """Let the tokens of all users name the tenant's plan."""
    for user in list(table.list_users(store, tenant_id)):
        follow_user(store, identity, tenant_id, user.user_id)


def _bring(store: Store, identity: Identity, tenant_id: str, user: User) -> None:
    match user.status:
        case UserStatus.REMOVING:
            identity.remove(user.username)
            table.drop_user(store, tenant_id, user)
        case UserStatus.DISABLED:
            identity.disable(user.username)
        case UserStatus.ACTIVE:
            plan = tenants.get_tenant(store, tenant_id).plan
            wanted = NewUser(user.email, user.role, tenant_id, plan, user.features)
            identity.update(user.username, wanted)


def finish_invitations(store: Store, identity: Identity, *, now: datetime) -> int:
    """Carry out what a crash has left open; says how many."""
    finished = 0
    for tenant_id, invitation in table.overdue_invitations(store, now=now):
        try:
            plan = tenants.get_tenant(store, tenant_id).plan
            _finish(store, identity, tenant_id, invitation, plan=plan, temporary_password=None, now=now)
        except (TenantNotFound, UserExists, UserOfAnotherTenant, AddressNotValid) as error:
            logger.warning("invitation taken back", tenant_id=tenant_id, error=type(error).__name__)
            continue
        finished += 1
    return finished


def list_users(store: Store, tenant_id: str) -> list[User]:
    """All users of a tenant, for operators.

    Raises:
        TenantNotFound: there is no such tenant.
    """
    tenants.get_tenant(store, tenant_id)
    return list(table.list_users(store, tenant_id))


def create_user(
    store: Store,
    identity: Identity,
    tenant_id: str | None,
    asked: Invitation,
    *,
    temporary_password: str | None,
) -> bool:
    """Let someone sign in, whether that is new or not; only here a platform admin is made. Says whether it is new.

    Raises:
        InvalidRequest: a platform admin of a tenant, or another role of none.
    """
    if (tenant_id is None) != (asked.role is Role.PLATFORM_ADMIN):
        msg = "A platform_admin belongs to no tenant, and every other role to one."
        raise InvalidRequest(msg)
    if tenant_id is None:
        admin = NewUser(asked.email, asked.role, None)
        return identity.ensure(admin, temporary_password=temporary_password).created
    try:
        invite_user(store, identity, tenant_id, asked, temporary_password=temporary_password, now=asked.invited_at)
    except UserExists:
        return False
    return True


def tenant_role(role: Role) -> Role:
    """A role that a tenant's user can have.

    Raises:
        InvalidRequest: it is the operators'.
    """
    if role is Role.PLATFORM_ADMIN:
        msg = "A platform_admin is made, never promoted: create one."
        raise InvalidRequest(msg)
    return role


def find_by_address(identity: Identity, email: str) -> tuple[str, str]:
    """The tenant and the id of the user with this address.

    Raises:
        UserNotFound: nobody has it, or a platform admin.
    """
    there = identity.find(email.strip().lower())
    if there is None or there.tenant_id is None:
        raise UserNotFound
    return there.tenant_id, there.user_id


def disable_by_address(store: Store, identity: Identity, email: str, *, now: datetime) -> None:
    """Let nobody sign in with this address any more.

    Raises:
        UserNotFound: nobody does.
        LastTenantAdmin: nobody could administer the tenant any more.
    """
    there = identity.find(email.strip().lower())
    if there is None:
        raise UserNotFound
    if there.tenant_id is None:
        identity.disable(there.username)
        return
    disable_user(store, there.tenant_id, there.user_id, now=now)
