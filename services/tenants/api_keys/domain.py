"""API keys and their secrets."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from services.tenants.errors import ApiKeyExpiryNotAhead, RoleAboveCaller
from shared.api_keys import secret as secrets
from shared.api_keys.domain import ApiKey, ApiSecret
from shared.tenancy.permissions import Role

MAX_API_KEYS = 100
"""API keys of one tenant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeyTerms:
    """The name and the permissions of an API key."""

    name: str
    role: Role
    scopes: tuple[str, ...] | None
    """None: all that the role allows."""
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """An API key with a secret that is shown once."""

    key: ApiKey
    secret: str = field(repr=False)


def create_key(terms: ApiKeyTerms, *, api_key_id: str, secret: str, by: str, now: datetime) -> tuple[ApiKey, ApiSecret]:
    """Return a new API key and its secret as it is stored.

    Raises:
        ApiKeyExpiryNotAhead: it would have expired already.
    """
    _check_expiry(terms, now)
    key = ApiKey(
        api_key_id=api_key_id,
        name=terms.name,
        prefix=secrets.visible_prefix(secret),
        role=terms.role,
        scopes=terms.scopes,
        expires_at=terms.expires_at,
        created_by=by,
        seq=1,
        created_at=now,
        updated_at=now,
    )
    return key, ApiSecret(api_key_id, secrets.hash_of(secret), created_at=now)


def change_key(key: ApiKey, terms: ApiKeyTerms, *, now: datetime) -> ApiKey:
    """Return the next version of an API key.

    Raises:
        ApiKeyExpiryNotAhead: it would have expired already.
    """
    if terms.expires_at != key.expires_at:
        _check_expiry(terms, now)
    return replace(
        key,
        name=terms.name,
        role=terms.role,
        scopes=terms.scopes,
        expires_at=terms.expires_at,
        seq=key.seq + 1,
        updated_at=now,
    )


@dataclass(frozen=True, slots=True)
class Rotation:
    """The change of an API key's secrets."""

    key: ApiKey
    new: ApiSecret
    overlapping: ApiSecret | None
    """The previous secret with its end; None if it ends at once."""
    removed: tuple[ApiSecret, ...]


def rotate_key(
    key: ApiKey, existing: Sequence[ApiSecret], *, secret: str, overlap: timedelta, now: datetime
) -> Rotation:
    """Replace an API key's secret. The previous one stays valid for the overlap, and all older ones end at once."""
    new = ApiSecret(key.api_key_id, secrets.hash_of(secret), created_at=now)
    previous = next((one for one in existing if one.expires_at is None), None)
    overlapping = replace(previous, expires_at=now + overlap) if previous and overlap else None
    removed = tuple(one for one in existing if overlapping is None or one.sha256 != overlapping.sha256)
    rotated = replace(key, prefix=secrets.visible_prefix(secret), seq=key.seq + 1, updated_at=now)
    return Rotation(rotated, new, overlapping, removed)


def check_may_manage(caller: Role, *roles: Role) -> None:
    """Check that a caller gives and changes no permissions that it does not have.

    Raises:
        RoleAboveCaller: one of the roles is above the caller's.
    """
    if not all(caller.includes(role) for role in roles):
        raise RoleAboveCaller


def last_used_at(existing: Sequence[ApiSecret]) -> datetime | None:
    """Return when one of a key's secrets was last used, rounded down to the hour; None if it never was."""
    return max((one.last_used_at for one in existing if one.last_used_at), default=None)


def _check_expiry(terms: ApiKeyTerms, now: datetime) -> None:
    if terms.expires_at is not None and terms.expires_at <= now:
        raise ApiKeyExpiryNotAhead
