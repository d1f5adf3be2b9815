"""From a token or an API key to the caller, and the answer that API Gateway caches."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from shared.api_keys.domain import ApiKey, ApiSecret
from shared.tenancy.claims import NOT_AUTHENTICATED, Claims, InvalidToken, names_in, role_in
from shared.tenancy.permissions import Role

_BEARER = "bearer "


@dataclass(frozen=True, slots=True)
class FoundKey:
    """An API key that was found by its secret, with the state of its tenant."""

    tenant_id: str
    tenant_status: str
    key: ApiKey
    secret: ApiSecret


def credential_of(authorization: str) -> str:
    """Return the token or the API key in an `Authorization` header; the scheme `Bearer` may be missing.

    Raises:
        InvalidToken: the header is empty or has another scheme.
    """
    text = authorization.strip()
    if text[: len(_BEARER)].lower() == _BEARER:
        text = text[len(_BEARER) :].strip()
    if not text or " " in text:
        raise InvalidToken(NOT_AUTHENTICATED)
    return text


def claims_of_token(payload: Mapping[str, Any]) -> Claims:
    """Return the caller in the payload of a token whose signature, issuer, audience and expiry were verified.

    https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-the-id-token.html

    Raises:
        InvalidToken: it is an access token, or lacks the attributes of this platform.
    """
    if payload.get("token_use") != "id":
        raise InvalidToken(NOT_AUTHENTICATED)
    role = role_in(payload.get("custom:role"))
    tenant_id = payload.get("custom:tenant_id") or None
    user_id = payload.get("sub")
    if not isinstance(user_id, str) or (tenant_id is None) != (role is Role.PLATFORM_ADMIN):
        raise InvalidToken(NOT_AUTHENTICATED)
    return Claims(
        f"user:{user_id}",
        role,
        tenant_id,
        features=names_in(payload.get("custom:features")),
        expires_at=datetime.fromtimestamp(int(payload["exp"]), UTC),
    )


def claims_of_key(found: FoundKey, *, now: datetime) -> Claims:
    """Return the caller that an API key represents.

    Raises:
        InvalidToken: the key or its secret has expired, or its tenant is not active.
    """
    ends = [end for end in (found.key.expires_at, found.secret.expires_at) if end is not None]
    if found.tenant_status != "active" or any(end <= now for end in ends):
        raise InvalidToken(NOT_AUTHENTICATED)
    return Claims(
        f"key:{found.key.api_key_id}",
        found.key.role,
        found.tenant_id,
        scopes=None if found.key.scopes is None else frozenset(found.key.scopes),
        expires_at=min(ends, default=None),
    )


def to_answer(claims: Claims, *, method_arn: str) -> dict[str, Any]:
    """Return the authorizer's answer in API Gateway's format.

    It allows every route of the stage, because the gateway caches it by the header alone. The functions decide about
    tenant, role and scope of each route.

    Args:
        claims: the caller.
        method_arn: of the request, `arn:aws:execute-api:<region>:<account>:<api>/<stage>/<method>/<path>`.
    """
    api, stage, *_ = method_arn.split("/")
    statement = {"Action": "execute-api:Invoke", "Effect": "Allow", "Resource": f"{api}/{stage}/*"}
    return {
        "principalId": claims.principal,
        "policyDocument": {"Version": "2012-10-17", "Statement": [statement]},
        "context": claims.to_context(),
    }
