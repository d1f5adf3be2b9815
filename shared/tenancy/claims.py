"""The caller of a request, as the authorizer passes it on to every function.

API Gateway verifies nothing itself: the authorizer checks id tokens and API keys (`services.core.authorizer`), and its
context is the only source of a caller's identity. All values of the context are text.
https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-lambda-authorizer-output.html
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from shared.errors import AinexusError
from shared.tenancy.permissions import SCOPES, Role

NOT_AUTHENTICATED = "Invalid authentication token."


class InvalidToken(AinexusError):
    """The request has no token and no API key that can be trusted."""


@dataclass(frozen=True, slots=True)
class Claims:
    """The identity and the permissions of a caller."""

    principal: str
    """`user:<id>` or `key:<id>`."""
    role: Role
    tenant_id: str | None
    """None for platform admins only."""
    features: tuple[str, ...] | None = None
    """The features that the token grants; None grants all features of the tenant."""
    scopes: frozenset[str] | None = None
    """The scopes of an API key; None grants all that the role allows."""
    expires_at: datetime | None = None
    """The end of the token or key, which may lie within the time for which the gateway caches this answer."""

    @property
    def is_api_key(self) -> bool:
        """Whether the caller is an API key."""
        return self.principal.startswith("key:")

    def to_context(self) -> dict[str, str]:
        """Return the authorizer's context of this caller."""
        context = {"principal": self.principal, "role": self.role.value}
        if self.tenant_id is not None:
            context["tenant_id"] = self.tenant_id
        if self.features is not None:
            context["features"] = json.dumps(self.features)
        if self.scopes is not None:
            context["scopes"] = json.dumps(sorted(self.scopes))
        if self.expires_at is not None:
            context["expires_at"] = str(int(self.expires_at.timestamp()))
        return context


def read_claims(context: Mapping[str, Any], *, now: datetime) -> Claims:
    """Return the caller in the authorizer's context.

    Args:
        context: of the authorizer; empty if the gateway has called none.
        now: the time of the request.

    Raises:
        InvalidToken: the context is absent or incomplete, or the token has expired since it was checked.
    """
    principal, tenant_id = context.get("principal"), context.get("tenant_id") or None
    role = role_in(context.get("role"))
    if not isinstance(principal, str) or (tenant_id is None) != (role is Role.PLATFORM_ADMIN):
        raise InvalidToken(NOT_AUTHENTICATED)
    claims = Claims(
        principal,
        role,
        tenant_id,
        features=names_in(context.get("features")),
        scopes=_scopes(context.get("scopes")),
        expires_at=_moment(context.get("expires_at")),
    )
    if claims.expires_at is not None and claims.expires_at <= now:
        raise InvalidToken(NOT_AUTHENTICATED)
    return claims


def role_in(text: object) -> Role:
    """Return the role with this name.

    Raises:
        InvalidToken: no role has it.
    """
    try:
        return Role(str(text))
    except ValueError as error:
        raise InvalidToken(NOT_AUTHENTICATED) from error


def _moment(text: object) -> datetime | None:
    if text is None:
        return None
    try:
        return datetime.fromtimestamp(int(str(text)), UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidToken(NOT_AUTHENTICATED) from error


def names_in(text: object) -> tuple[str, ...] | None:
    """Return the names in a JSON array. Text that cannot be parsed grants nothing."""
    if text is None:
        return None
    try:
        names: object = json.loads(str(text))
    except json.JSONDecodeError:
        return ()
    return tuple(str(name) for name in cast("list[object]", names)) if isinstance(names, list) else ()


def _scopes(text: object) -> frozenset[str] | None:
    names = names_in(text)
    return None if names is None else SCOPES.intersection(names)
