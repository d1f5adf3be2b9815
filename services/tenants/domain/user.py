"""Users: who may sign in to a tenant, and as what. Who that is stays in the user pool.

The row is the truth, and the pool follows it: each change says an event, which this service hears itself.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from services.tenants.errors import UserNotActive
from shared.events.envelope import Event, happened
from shared.events.tenants import TenantEvent, UserDisabled, UserInvited, UserRemoved, UserRoleChanged
from shared.tenancy.permissions import Role

Features = tuple[str, ...] | None
"""What a user's tokens grant; None: all of the tenant's features."""


class UserStatus(StrEnum):
    """How far a user is a user."""

    ACTIVE = "active"
    DISABLED = "disabled"
    """Cannot sign in, and keeps the place."""
    REMOVING = "removing"
    """Is no user any more; the place is given back when the pool has let go."""


@dataclass(frozen=True, slots=True)
class Invitation:
    """A place that is taken before the pool is asked, so that a crash in between leaves nothing uncounted."""

    email: str
    role: Role
    features: Features
    invited_at: datetime


@dataclass(frozen=True, slots=True)
class User:
    """Someone who can sign in."""

    user_id: str
    """The `sub` of the tokens."""
    username: str
    """What the pool knows them by; an address may change."""
    email: str
    role: Role
    features: Features
    status: UserStatus
    seq: int
    created_at: datetime
    updated_at: datetime

    @property
    def is_active_admin(self) -> bool:
        """Whether this user can administer the tenant."""
        return self.role is Role.TENANT_ADMIN and self.status is UserStatus.ACTIVE


@dataclass(frozen=True, slots=True)
class UserChange:
    """What to change of a user: a merge patch."""

    role: Role | None = None
    features: Features = None
    sets_features: bool = False
    """Whether `features` is meant; None then gives all of the tenant's."""


Change = tuple[User, Event[TenantEvent]]


def invite_user(tenant_id: str, invitation: Invitation, *, user_id: str, username: str, now: datetime) -> Change:
    """A user who may sign in to this tenant from now on."""
    user = User(
        user_id=user_id,
        username=username,
        email=invitation.email,
        role=invitation.role,
        features=invitation.features,
        status=UserStatus.ACTIVE,
        seq=1,
        created_at=now,
        updated_at=now,
    )
    return user, _said(tenant_id, user, UserInvited(user_id=user_id, role=user.role), "invited")


def change_user(tenant_id: str, user: User, change: UserChange, *, now: datetime) -> Change:
    """The user in another role, or with other features.

    Raises:
        UserNotActive: who cannot sign in has no role to change.
    """
    if user.status is not UserStatus.ACTIVE:
        raise UserNotActive
    features = change.features if change.sets_features else user.features
    after = _next(replace(user, role=change.role or user.role, features=features), now=now)
    return after, _said(tenant_id, after, UserRoleChanged(user_id=user.user_id, role=after.role), "role_changed")


def disable_user(tenant_id: str, user: User, *, now: datetime) -> Change:
    """A user who may not sign in any more.

    Raises:
        UserNotActive: it is so already.
    """
    if user.status is not UserStatus.ACTIVE:
        raise UserNotActive
    after = _next(replace(user, status=UserStatus.DISABLED), now=now)
    return after, _said(tenant_id, after, UserDisabled(user_id=user.user_id), "disabled")


def remove_user(tenant_id: str, user: User, *, now: datetime) -> Change:
    """A user who is none any more."""
    after = _next(replace(user, status=UserStatus.REMOVING), now=now)
    return after, _said(tenant_id, after, UserRemoved(user_id=user.user_id), "removed")


def _next(user: User, *, now: datetime) -> User:
    return replace(user, seq=user.seq + 1, updated_at=now)


def _said(tenant_id: str, user: User, data: TenantEvent, what: str) -> Event[TenantEvent]:
    event_id = f"{user.user_id}:{what}" if what == "invited" else f"{user.user_id}:{user.seq}:{what}"
    return happened(
        data, event_id=event_id, tenant_id=tenant_id, subject=user.user_id, seq=user.seq, at=user.updated_at
    )
