"""Users, who can sign in to a tenant with a role. Credentials are stored in the user pool only.

The table row is the source of truth. Each change publishes an event, on which this service itself updates the pool.
"""

import unicodedata
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from services.tenants.errors import AddressChanging, UserNotActive
from shared.events.envelope import Event, new_event
from shared.events.tenants import (
    TenantEvent,
    UserDisabled,
    UserEmailChanged,
    UserInvited,
    UserRemoved,
    UserRoleChanged,
)
from shared.tenancy.permissions import Role

Features = tuple[str, ...] | None
"""The subset of the tenant's features that a user's tokens grant. None grants all."""


class UserStatus(StrEnum):
    """The lifecycle of a user."""

    ACTIVE = "active"
    DISABLED = "disabled"
    """The user cannot sign in, but still occupies a seat."""
    REMOVING = "removing"
    """The user is removed. The seat is freed once the user pool confirms."""


@dataclass(frozen=True, slots=True)
class Invitation:
    """An invited user. The seat is taken before the pool creates the user, so that a crash leaves no uncounted user."""

    email: str
    role: Role
    features: Features
    invited_at: datetime


@dataclass(frozen=True, slots=True)
class User:
    """A person who can sign in."""

    user_id: str
    """The `sub` claim of the tokens."""
    username: str
    """The user's name in the pool, which stays the same when the address changes."""
    email: str
    role: Role
    features: Features
    status: UserStatus
    seq: int
    created_at: datetime
    updated_at: datetime
    email_before: str | None = None
    """The address that the pool may still have. None once the pool has the current one."""

    @property
    def is_active_admin(self) -> bool:
        """Return whether this user can administer the tenant."""
        return self.role is Role.TENANT_ADMIN and self.status is UserStatus.ACTIVE


@dataclass(frozen=True, slots=True)
class UserChange:
    """A merge patch of a user."""

    role: Role | None = None
    features: Features = None
    sets_features: bool = False
    """Whether `features` is set. If so, None grants all of the tenant's features."""
    email: str | None = None


class InvalidAddress(ValueError):
    """The text is not an address that a user can sign in with."""


def normalize_address(text: str) -> str:
    """Return the one form of an address: the local part in NFC and lower case, the domain in IDNA's ASCII form.

    Two addresses with the same form belong to the same user.

    Raises:
        InvalidAddress: the address is malformed, has invisible or bidirectional characters, or has letters that look
            like others and have no form of their own, such as full-width letters.
    """
    # The import compiles large expressions, and only invitations need it.
    from email_validator import EmailNotValidError, validate_email

    try:
        parsed = validate_email(text.strip(" "), check_deliverability=False)
    except EmailNotValidError as error:
        raise InvalidAddress(str(error)) from error
    local = parsed.local_part.lower()
    if len(local) != len(parsed.local_part) or unicodedata.normalize("NFKC", local) != local:
        msg = "The part before the @-sign has characters that can be mistaken for others."
        raise InvalidAddress(msg)
    return f"{local}@{parsed.ascii_domain}"


UserRevision = tuple[User, Event[TenantEvent]]


def invite_user(tenant_id: str, invitation: Invitation, *, user_id: str, username: str, now: datetime) -> UserRevision:
    """Return a new active user and its event."""
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
    return user, _user_event(tenant_id, user, UserInvited(user_id=user_id, role=user.role), "invited")


def change_user(tenant_id: str, user: User, change: UserChange, *, now: datetime) -> UserRevision:
    """Change a user's role or features.

    Raises:
        UserNotActive: the user is disabled or being removed.
    """
    if user.status is not UserStatus.ACTIVE:
        raise UserNotActive
    features = change.features if change.sets_features else user.features
    after = _next(replace(user, role=change.role or user.role, features=features), now=now)
    return after, _user_event(tenant_id, after, UserRoleChanged(user_id=user.user_id, role=after.role), "role_changed")


def change_address(tenant_id: str, user: User, email: str, *, now: datetime) -> UserRevision:
    """Change a user's address. The pool accepts or refuses it later.

    Raises:
        UserNotActive: the user is disabled or being removed.
        AddressChanging: the pool does not have the previous change yet.
    """
    if user.status is not UserStatus.ACTIVE:
        raise UserNotActive
    if user.email_before is not None:
        raise AddressChanging
    after = _next(replace(user, email=email, email_before=user.email), now=now)
    return after, _user_event(tenant_id, after, UserEmailChanged(user_id=user.user_id), "email_changed")


def restore_address(tenant_id: str, user: User, *, email_before: str) -> UserRevision:
    """Restore the address that the pool has, after the pool refused the new one.

    The time is that of the refused change, so that a retry creates the same event.
    """
    after = _next(replace(user, email=email_before, email_before=None), now=user.updated_at)
    return after, _user_event(tenant_id, after, UserEmailChanged(user_id=user.user_id), "email_changed")


def disable_user(tenant_id: str, user: User, *, now: datetime) -> UserRevision:
    """Disable a user, who can then no longer sign in.

    Raises:
        UserNotActive: the user is already disabled or being removed.
    """
    if user.status is not UserStatus.ACTIVE:
        raise UserNotActive
    after = _next(replace(user, status=UserStatus.DISABLED), now=now)
    return after, _user_event(tenant_id, after, UserDisabled(user_id=user.user_id), "disabled")


def remove_user(tenant_id: str, user: User, *, now: datetime) -> UserRevision:
    """Begin to remove a user."""
    after = _next(replace(user, status=UserStatus.REMOVING), now=now)
    return after, _user_event(tenant_id, after, UserRemoved(user_id=user.user_id), "removed")


def _next(user: User, *, now: datetime) -> User:
    return replace(user, seq=user.seq + 1, updated_at=now)


def _user_event(tenant_id: str, user: User, data: TenantEvent, verb: str) -> Event[TenantEvent]:
    event_id = f"{user.user_id}:{verb}" if verb == "invited" else f"{user.user_id}:{user.seq}:{verb}"
    return new_event(
        data, event_id=event_id, tenant_id=tenant_id, subject=user.user_id, seq=user.seq, at=user.updated_at
    )
