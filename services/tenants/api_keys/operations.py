"""Operations on API keys."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypedDict

from services.tenants.api_keys import domain
from services.tenants.api_keys.domain import ApiKeyTerms, IssuedKey
from services.tenants.api_keys.table import ApiKeyTable
from shared.api_keys.domain import ApiKey
from shared.preconditions import check_if_match
from shared.storage.idempotency import IdempotencyKey
from shared.tenancy.context import TenantContext
from shared.tenancy.permissions import Role


class ApiKeyPatch(TypedDict, total=False):
    """A merge patch of an API key's terms; absent fields do not change."""

    name: str
    role: Role
    scopes: tuple[str, ...] | None
    expires_at: datetime | None


def create_key(
    keys: ApiKeyTable,
    caller: TenantContext,
    terms: ApiKeyTerms,
    *,
    api_key_id: str,
    secret: str,
    now: datetime,
    idempotency_key: IdempotencyKey | None,
) -> IssuedKey:
    """Create an API key, at most with the caller's own role.

    Raises:
        RoleAboveCaller: its role is above the caller's.
        ApiKeyExpiryNotAhead: it would have expired already.
        ApiKeyLimitReached: the tenant has the maximum number of keys.
    """
    domain.check_may_manage(caller.role, terms.role)
    key, stored = domain.create_key(terms, api_key_id=api_key_id, secret=secret, by=caller.principal, now=now)
    keys.create(key, stored, idempotency_key=idempotency_key)
    return IssuedKey(key, secret)


def change_key(
    keys: ApiKeyTable,
    caller: TenantContext,
    api_key_id: str,
    patch: ApiKeyPatch,
    *,
    now: datetime,
    if_match: str | None,
) -> ApiKey:
    """Merge a change into an API key. It applies within a minute.

    Raises:
        RoleAboveCaller: its present or its new role is above the caller's.
        ApiKeyExpiryNotAhead: it would have expired already.
    """
    key = _managed(keys, caller, api_key_id, if_match=if_match)
    terms = ApiKeyTerms(name=key.name, role=key.role, scopes=key.scopes, expires_at=key.expires_at)
    terms = replace(terms, **patch)
    domain.check_may_manage(caller.role, terms.role)
    changed = domain.change_key(key, terms, now=now)
    keys.save(changed)
    return changed


def rotate_key(
    keys: ApiKeyTable, caller: TenantContext, api_key_id: str, *, secret: str, overlap: timedelta, now: datetime
) -> IssuedKey:
    """Give an API key a new secret. The previous one stays valid for the overlap.

    Raises:
        RoleAboveCaller: its role is above the caller's.
    """
    key = _managed(keys, caller, api_key_id, if_match=None)
    rotation = domain.rotate_key(key, keys.secrets(api_key_id), secret=secret, overlap=overlap, now=now)
    keys.rotate(rotation)
    return IssuedKey(rotation.key, secret)


def delete_key(keys: ApiKeyTable, caller: TenantContext, api_key_id: str, *, if_match: str | None) -> None:
    """Delete an API key. Requests with it are refused within a minute.

    Raises:
        RoleAboveCaller: its role is above the caller's.
    """
    key = _managed(keys, caller, api_key_id, if_match=if_match)
    keys.remove(key, keys.secrets(api_key_id))


def _managed(keys: ApiKeyTable, caller: TenantContext, api_key_id: str, *, if_match: str | None) -> ApiKey:
    key = keys.get(api_key_id)
    domain.check_may_manage(caller.role, key.role)
    check_if_match(if_match, key.seq)
    return key
