"""Users: who may sign in to the tenant, and as what."""

from typing import Annotated, Any, Literal

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Query
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from services.tenants import wiring
from services.tenants.api.application import TENANT, app
from services.tenants.domain import user as domain
from services.tenants.domain.user import Invitation, UserChange
from services.tenants.operations import users as operations
from services.tenants.table import users as table
from shared.http.answers import Answer, ListAnswer, created, no_content, ok
from shared.http.call import Caller, CurrentCall
from shared.http.pagination import PageQuery, page_after, place_of
from shared.ids import VISIBLE
from shared.tenancy.context import TenantContext
from shared.tenancy.permissions import Feature, Role
from shared.times import TIME_TEXT, Rfc3339

_USERS = f"{TENANT}/users"
_INVITE = f"{_USERS}/invite"
_USER = f"{_USERS}/{{user_id}}"


def _lowered(value: object) -> object:
    """The pool knows no capitals in addresses."""
    return value.strip().lower() if isinstance(value, str) else value


Email = Annotated[str, BeforeValidator(_lowered), Field(max_length=128, pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")]
TenantRole = Literal["tenant_admin", "developer", "analyst", "observer"]
"""The roles that a tenant can give; a platform admin is made by operators alone."""
Features = Annotated[list[Annotated[Feature, Field(strict=False)]], Field(max_length=len(Feature))]


class User(BaseModel):
    """Someone who can sign in."""

    model_config = ConfigDict(from_attributes=True)

    user_id: str
    email: str
    role: str
    features: list[str] | None
    """What the tokens grant of the tenant's features; null: all."""
    status: Literal["active", "disabled"]
    created_at: Rfc3339
    updated_at: Rfc3339


class NewUser(BaseModel):
    """Whom to invite."""

    model_config = ConfigDict(extra="forbid", strict=True)

    email: Email
    role: TenantRole
    features: Features | None = None


class UserPatch(BaseModel):
    """What to change; what is absent stays (RFC 7396)."""

    model_config = ConfigDict(extra="forbid", strict=True)

    role: TenantRole = "observer"
    features: Features | None = None


class UserAnswer(Answer):
    """One user."""

    user: User


class UsersAnswer(ListAnswer):
    """A page of users, newest first."""

    users: list[User]


@app.route("GET", _USERS, least=Role.ANALYST)
def list_users(caller: Caller, query: Annotated[PageQuery, Query()]) -> Response[UsersAnswer]:
    """Users, newest first."""
    after = place_of(query.token, caller.tenant_id, "users", form=f"{TIME_TEXT}#{VISIBLE}")
    users, place = table.page_of_users(wiring.tenant_store(), caller.tenant_id, limit=query.limit, after=after)
    return ok(
        UsersAnswer(
            users=[User.model_validate(user) for user in users],
            pagination=page_after(place, caller.tenant_id, "users"),
        )
    )


def _show_invited(caller: TenantContext, user_id: str) -> Response[UserAnswer]:
    return _invited(caller, table.get_user(wiring.tenant_store(), caller.tenant_id, user_id))


@app.route("POST", _INVITE, least=Role.TENANT_ADMIN, statuses=(201,), replay=_show_invited)
def invite_user(caller: Caller, call: CurrentCall, body: Annotated[NewUser, Body()]) -> Response[UserAnswer]:
    """Let someone sign in to the tenant."""
    user = operations.invite_user(
        wiring.tenant_store(),
        wiring.identity(),
        caller.tenant_id,
        Invitation(body.email, Role(body.role), features_of(body.features), call.now),
        now=call.now,
        once=call.once,
    )
    return _invited(caller, user)


@app.route("PATCH", _USER, least=Role.TENANT_ADMIN)
@app.route("PUT", _USER, least=Role.TENANT_ADMIN)
def change_user(
    caller: Caller, call: CurrentCall, user_id: str, body: Annotated[UserPatch, Body()]
) -> Response[UserAnswer]:
    """Change a user's role or features; tokens say so from their next renewal on."""
    sent = body.model_fields_set
    change = UserChange(
        role=Role(body.role) if "role" in sent else None,
        features=features_of(body.features),
        sets_features="features" in sent,
    )
    store = wiring.tenant_store()
    return _shown(
        operations.change_user(store, caller.tenant_id, user_id, change, now=call.now, if_match=call.if_match)
    )


@app.route("DELETE", _USER, least=Role.TENANT_ADMIN, statuses=(204,))
def remove_user(caller: Caller, call: CurrentCall, user_id: str) -> Response[None]:
    """Remove a user; the id token that is out ends within 15 minutes, and cannot be renewed."""
    operations.remove_user(wiring.tenant_store(), caller.tenant_id, user_id, now=call.now, if_match=call.if_match)
    return no_content()


def features_of(features: list[Any] | None) -> domain.Features:
    """What was sent, as the domain takes it."""
    return None if features is None else tuple(str(feature) for feature in features)


def _shown(user: domain.User) -> Response[UserAnswer]:
    return ok(UserAnswer(user=User.model_validate(user)), etag=user.seq)


def _invited(caller: TenantContext, user: domain.User) -> Response[UserAnswer]:
    location = _USER.format(tenant_id=caller.tenant_id, user_id=user.user_id)
    return created(UserAnswer(user=User.model_validate(user)), location=location, etag=user.seq)
