"""Request and response models of users."""

from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field

from services.tenants.users.domain import normalize_address
from shared.http.responses import ListResponse, ResponseBody
from shared.schema import DocumentedModel
from shared.tenancy.permissions import Feature
from shared.times import Rfc3339

Email = Annotated[str, AfterValidator(normalize_address), Field(max_length=128, json_schema_extra={"format": "email"})]
TenantRole = Literal["tenant_admin", "developer", "analyst", "observer"]
"""The roles that a tenant can assign. Only operators can create a platform admin."""
Features = Annotated[list[Annotated[Feature, Field(strict=False)]], Field(max_length=len(Feature))]


class User(DocumentedModel):
    """A person who can sign in to the tenant."""

    model_config = ConfigDict(from_attributes=True)

    user_id: str
    email: str
    """The address with which the user signs in."""
    role: str
    """`tenant_admin`, `developer`, `analyst` or `observer`."""
    features: list[str] | None
    """The subset of the tenant's features that the user's tokens grant. Null grants all."""
    status: Literal["active", "disabled"]
    """A disabled user cannot sign in."""
    created_at: Rfc3339
    updated_at: Rfc3339


class NewUser(DocumentedModel):
    """The request to invite a user."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={"examples": [{"email": "analyst@demo-org.com", "role": "analyst"}]},
    )

    email: Email
    """The address with which the user will sign in."""
    role: TenantRole
    features: Features | None = None
    """The subset of the tenant's features that the user's tokens grant. Null grants all."""


class UserPatch(DocumentedModel):
    """A JSON merge patch (RFC 7396) of a user. Absent fields do not change."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={"examples": [{"role": "analyst"}]},
    )

    role: TenantRole = Field(default_factory=lambda: "observer")
    """A tenant keeps at least one `tenant_admin`."""
    features: Features | None = None
    """The subset of the tenant's features that the user's tokens grant. Null grants all."""
    email: Email = Field(default_factory=str)
    """The new sign-in address. It takes effect within seconds, unless another user takes it first."""


class UserResponse(ResponseBody):
    """The response with one user."""

    user: User


class UsersResponse(ListResponse):
    """A page of users, newest first."""

    users: list[User]
