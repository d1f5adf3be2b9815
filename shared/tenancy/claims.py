"""What a Cognito id token says of its bearer; the gateway has verified the signature and the expiry.

https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-the-id-token.html
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.errors import AinexusError
from shared.tenancy.permissions import Role


class InvalidToken(AinexusError):
    """The request carries no token that can be trusted."""


@dataclass(frozen=True, slots=True)
class Claims:
    """The bearer of a token."""

    user_id: str
    role: Role
    tenant_id: str | None
    """None for a platform admin alone."""
    features: tuple[str, ...] | None
    """None: the token does not narrow the tenant's features."""


def read_claims(claims: Mapping[str, Any], *, audience: str) -> Claims:
    """Return the bearer, from the authorizer's claims.

    Args:
        claims: of a token whose signature, issuer and expiry the gateway has verified.
        audience: the id of our app client; the gateway accepts the tokens of every client of the pool.

    Raises:
        InvalidToken: an access token, one of another client, or one without the attributes of this platform.
    """
    if claims.get("token_use") != "id" or claims.get("aud") != audience:
        raise InvalidToken(_MESSAGE)
    role = _role(claims.get("custom:role"))
    tenant_id = claims.get("custom:tenant_id") or None
    user_id = claims.get("sub")
    if not isinstance(user_id, str) or (tenant_id is None) != (role is Role.PLATFORM_ADMIN):
        raise InvalidToken(_MESSAGE)
    return Claims(user_id, role, tenant_id, _features(claims.get("custom:features")))


_MESSAGE = "Invalid authentication token"


def _role(text: object) -> Role:
    try:
        return Role(str(text))
    except ValueError as error:
        raise InvalidToken(_MESSAGE) from error


def _features(text: object) -> tuple[str, ...] | None:
    """The JSON array of the claim; one that cannot be read grants nothing."""
    if text is None:
        return None
    try:
        names: object = json.loads(str(text))
    except json.JSONDecodeError:
        return ()
    return tuple(str(name) for name in names) if isinstance(names, list) else ()  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] — any JSON may stand there
