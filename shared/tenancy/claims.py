"""Claims of a Cognito id token, whose signature and expiry the gateway has verified.

https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-the-id-token.html
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.errors import AinexusError
from shared.tenancy.permissions import Role


class InvalidToken(AinexusError):
    """The request has no token that can be trusted."""


@dataclass(frozen=True, slots=True)
class Claims:
    """The identity and the permissions in a token."""

    user_id: str
    role: Role
    tenant_id: str | None
    """None for platform admins only."""
    features: tuple[str, ...] | None
    """The features that the token grants; None grants all features of the tenant."""


def read_claims(claims: Mapping[str, Any], *, audience: str) -> Claims:
    """Return the identity and the permissions in the authorizer's claims.

    Args:
        claims: the claims of a token whose signature, issuer and expiry the gateway has verified.
        audience: the id of the platform's app client; the gateway accepts the tokens of every client of the pool.

    Raises:
        InvalidToken: it is an access token, belongs to another client, or lacks the attributes of this platform.
    """
    if claims.get("token_use") != "id" or claims.get("aud") != audience:
        raise InvalidToken(_MESSAGE)
    role = _role(claims.get("custom:role"))
    tenant_id = claims.get("custom:tenant_id") or None
    user_id = claims.get("sub")
    if not isinstance(user_id, str) or (tenant_id is None) != (role is Role.PLATFORM_ADMIN):
        raise InvalidToken(_MESSAGE)
    return Claims(user_id, role, tenant_id, _features(claims.get("custom:features")))


_MESSAGE = "Invalid authentication token."


def _role(text: object) -> Role:
    try:
        return Role(str(text))
    except ValueError as error:
        raise InvalidToken(_MESSAGE) from error


def _features(text: object) -> tuple[str, ...] | None:
    """Return the features in the claim's JSON array. A claim that cannot be parsed grants none."""
    if text is None:
        return None
    try:
        names: object = json.loads(str(text))
    except json.JSONDecodeError:
        return ()
    return tuple(str(name) for name in names) if isinstance(names, list) else ()  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] — any JSON is possible
