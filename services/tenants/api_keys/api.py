"""HTTP API of API keys."""

import os
import secrets
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Query

from services.tenants import wiring
from services.tenants.api_keys import domain, operations
from services.tenants.api_keys.operations import ApiKeyPatch
from services.tenants.api_keys.schemas import (
    ApiKeyChange,
    ApiKeyResponse,
    ApiKeysResponse,
    ApiKeyStatus,
    ApiKeyView,
    IssuedApiKeyResponse,
    NewApiKey,
    NewApiSecret,
)
from services.tenants.api_keys.table import ApiKeyTable
from shared.api_keys import secret
from shared.api_keys.domain import ApiKey, ApiSecret
from shared.http.call import Caller, CurrentCall, current_call
from shared.http.pagination import PageQuery, cursor_of, page_after
from shared.http.responses import created, no_content, ok
from shared.http.router import Router
from shared.ids import VISIBLE, new_id
from shared.tenancy.context import TenantContext
from shared.tenancy.permissions import Role

router = Router()

_API_KEYS = "/v1/tenants/{tenant_id}/api-keys"
_API_KEY = f"{_API_KEYS}/{{api_key_id}}"


@router.route("GET", _API_KEYS, min_role=Role.DEVELOPER)
def list_api_keys(caller: Caller, query: Annotated[PageQuery, Query()]) -> Response[ApiKeysResponse]:
    """List API keys, newest first. Their secrets cannot be read."""
    after = cursor_of(query.token, caller.tenant_id, "api-keys", form=f"key_{VISIBLE}")
    keys = _table(caller)
    page, next_cursor = keys.page(limit=query.limit, after=after)
    existing = keys.secrets_of(page)
    return ok(
        ApiKeysResponse(
            api_keys=[_view(key, existing.get(key.api_key_id, ())) for key in page],
            pagination=page_after(next_cursor, caller.tenant_id, "api-keys"),
        )
    )


def _replay_created(caller: TenantContext, api_key_id: str) -> Response[IssuedApiKeyResponse]:
    return _created_response(caller, _table(caller).get(api_key_id), secret=None)


@router.route("POST", _API_KEYS, min_role=Role.DEVELOPER, statuses=(201,), replay=_replay_created)
def create_api_key(
    caller: Caller, call: CurrentCall, body: Annotated[NewApiKey, Body()]
) -> Response[IssuedApiKeyResponse]:
    """Create an API key, at most with your own role. Its secret is in this response only."""
    terms = domain.ApiKeyTerms(
        name=body.name,
        role=Role(body.role.value),
        scopes=_scopes(body.scopes),
        expires_at=body.expires_at,
    )
    issued = operations.create_key(
        _table(caller),
        caller,
        terms,
        api_key_id=new_id("key", call.now),
        secret=_new_secret(),
        now=call.now,
        idempotency_key=call.idempotency_key,
    )
    return _created_response(caller, issued.key, secret=issued.secret)


@router.route("GET", _API_KEY, min_role=Role.DEVELOPER)
def get_api_key(caller: Caller, api_key_id: str) -> Response[ApiKeyResponse]:
    """Get an API key."""
    keys = _table(caller)
    key = keys.get(api_key_id)
    return ok(ApiKeyResponse(api_key=_view(key, keys.secrets(api_key_id))), etag=key.seq)


@router.route("PATCH", _API_KEY, min_role=Role.DEVELOPER)
def update_api_key(
    caller: Caller, call: CurrentCall, api_key_id: str, body: Annotated[ApiKeyChange, Body()]
) -> Response[ApiKeyResponse]:
    """Change an API key's name, role, scopes or expiry."""
    keys = _table(caller)
    changed = operations.change_key(keys, caller, api_key_id, _patch(body), now=call.now, if_match=call.if_match)
    return ok(ApiKeyResponse(api_key=_view(changed, keys.secrets(api_key_id))), etag=changed.seq)


@router.route("DELETE", _API_KEY, min_role=Role.DEVELOPER, statuses=(204,))
def delete_api_key(caller: Caller, call: CurrentCall, api_key_id: str) -> Response[None]:
    """Delete an API key. Requests with it are refused within a minute."""
    operations.delete_key(_table(caller), caller, api_key_id, if_match=call.if_match)
    return no_content()


@router.route("POST", f"{_API_KEY}/rotate", min_role=Role.DEVELOPER, statuses=(200,))
def rotate_api_key(
    caller: Caller, call: CurrentCall, api_key_id: str, body: Annotated[NewApiSecret, Body()]
) -> Response[IssuedApiKeyResponse]:
    """Give an API key a new secret, while the previous one stays valid for some hours."""
    issued = operations.rotate_key(
        _table(caller),
        caller,
        api_key_id,
        secret=_new_secret(),
        overlap=timedelta(hours=body.overlap_hours),
        now=call.now,
    )
    existing = _table(caller).secrets(api_key_id)
    return ok(IssuedApiKeyResponse(api_key=_view(issued.key, existing), secret=issued.secret), etag=issued.key.seq)


def _table(caller: TenantContext) -> ApiKeyTable:
    return ApiKeyTable(wiring.tenant_store(), caller.tenant_id)


def _new_secret() -> str:
    return secret.new_secret(os.environ["ENVIRONMENT"], secrets.token_bytes(secret.RANDOM_BYTES))


def _scopes(scopes: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if scopes is None else tuple(sorted(set(scopes)))


def _patch(body: ApiKeyChange) -> ApiKeyPatch:
    patch = ApiKeyPatch()
    given = body.model_fields_set
    if "name" in given:
        patch["name"] = body.name
    if "role" in given:
        patch["role"] = Role(body.role.value)
    if "scopes" in given:
        patch["scopes"] = _scopes(body.scopes)
    if "expires_at" in given:
        patch["expires_at"] = body.expires_at
    return patch


def _view(key: ApiKey, existing: Sequence[ApiSecret]) -> ApiKeyView:
    is_active = key.expires_at is None or current_call().now < key.expires_at
    return ApiKeyView.model_validate(
        {
            "api_key_id": key.api_key_id,
            "name": key.name,
            "prefix": key.prefix,
            "role": key.role.value,
            "scopes": None if key.scopes is None else list(key.scopes),
            "status": ApiKeyStatus.ACTIVE if is_active else ApiKeyStatus.EXPIRED,
            "expires_at": key.expires_at,
            "last_used_at": domain.last_used_at(existing),
            "created_by": key.created_by,
            "created_at": key.created_at,
            "updated_at": key.updated_at,
        }
    )


def _created_response(caller: TenantContext, key: ApiKey, *, secret: str | None) -> Response[IssuedApiKeyResponse]:
    return created(
        IssuedApiKeyResponse(api_key=_view(key, ()), secret=secret),
        location=_API_KEY.format(tenant_id=caller.tenant_id, api_key_id=key.api_key_id),
        etag=key.seq,
    )
