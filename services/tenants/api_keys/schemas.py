"""Request and response models of API keys."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, ConfigDict, Field

from shared.freejson import Line
from shared.http.responses import ListResponse, ResponseBody
from shared.schema import DocumentedModel
from shared.tenancy.permissions import SCOPES, Role
from shared.times import TIMES_ONLY, Rfc3339

MAX_OVERLAP_HOURS = 7 * 24


class ApiKeyRole(StrEnum):
    """The roles that an API key can have."""

    TENANT_ADMIN = Role.TENANT_ADMIN.value
    DEVELOPER = Role.DEVELOPER.value
    ANALYST = Role.ANALYST.value
    OBSERVER = Role.OBSERVER.value


class ApiKeyStatus(StrEnum):
    """Whether requests with a key are accepted."""

    ACTIVE = "active"
    EXPIRED = "expired"


def _known(scope: str) -> str:
    if scope not in SCOPES:
        msg = "must be a scope such as runs:read or runs:write"
        raise ValueError(msg)
    return scope


ApiKeyName = Annotated[Line, Field(min_length=1, max_length=200)]
ApiKeyScope = Annotated[str, AfterValidator(_known), Field(json_schema_extra={"enum": [*sorted(SCOPES)]})]
Expiry = Annotated[AwareDatetime, TIMES_ONLY, Field(le=datetime(2999, 12, 31, tzinfo=UTC))]
ApiKeyScopes = Annotated[list[ApiKeyScope], Field(min_length=1, max_length=len(SCOPES))]


class ApiKeyView(DocumentedModel):
    """An API key without its secret."""

    model_config = ConfigDict(from_attributes=True)

    api_key_id: str
    name: str
    prefix: str
    """The beginning of the key, by which people recognize it."""
    role: ApiKeyRole
    scopes: list[str] | None
    """The routes that it may call, as `<part of the API>:read` or `:write`; null for all that its role allows."""
    status: ApiKeyStatus
    expires_at: Rfc3339 | None
    last_used_at: Rfc3339 | None
    """The hour of the last request; null if there was none with its current secrets."""
    created_by: str
    """The principal that created it, `user:<id>`. The key remains when that user is removed."""
    created_at: Rfc3339
    updated_at: Rfc3339


class NewApiKey(DocumentedModel):
    """The request to create an API key."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"name": "CI", "scopes": ["runs:read", "runs:write"]}]},
    )

    name: ApiKeyName
    role: ApiKeyRole = ApiKeyRole.DEVELOPER
    """At most the role of the caller."""
    scopes: ApiKeyScopes | None = None
    """The routes that it may call; null for all that its role allows."""
    expires_at: Expiry | None = None
    """Null: it does not expire."""


class ApiKeyChange(DocumentedModel):
    """A JSON merge patch (RFC 7396) of an API key. Absent fields do not change. It applies within a minute."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"name": "CI of the app"}]})

    name: ApiKeyName = Field(default_factory=str)
    role: ApiKeyRole = Field(default_factory=lambda: ApiKeyRole.DEVELOPER)
    scopes: ApiKeyScopes | None = None
    expires_at: Expiry | None = None


class NewApiSecret(DocumentedModel):
    """The request to rotate an API key."""

    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra={"examples": [{"overlap_hours": 1}]})

    overlap_hours: int = Field(default=24, ge=0, le=MAX_OVERLAP_HOURS)
    """The hours for which the previous secret stays valid."""


class ApiKeyResponse(ResponseBody):
    """The response with one API key."""

    api_key: ApiKeyView


class IssuedApiKeyResponse(ResponseBody):
    """The response with an API key and its secret."""

    api_key: ApiKeyView
    secret: str | None = Field(default=None, repr=False)
    """The key to send as a bearer. It is shown in this response alone; null in a replay of an earlier one."""


class ApiKeysResponse(ListResponse):
    """A page of API keys, newest first."""

    api_keys: list[ApiKeyView]
