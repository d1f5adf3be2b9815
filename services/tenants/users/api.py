"""HTTP API of users, who can sign in to the tenant with a role."""

from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Query

from services.tenants import wiring
from services.tenants.users import domain
from services.tenants.users.domain import Invitation, UserChange
from services.tenants.users.operations import invitations
from services.tenants.users.operations import users as operations
from services.tenants.users.schemas import NewUser, User, UserPatch, UserResponse, UsersResponse
from services.tenants.users.table.users import UserTable
from shared.http.call import Caller, CurrentCall
from shared.http.pagination import PageQuery, cursor_of, page_after
from shared.http.responses import created, no_content, ok
from shared.http.router import Router
from shared.ids import VISIBLE
from shared.tenancy.context import TenantContext
from shared.tenancy.permissions import Role
from shared.times import TIME_TEXT

router = Router()

_USERS = "/v1/tenants/{tenant_id}/users"
_INVITE = f"{_USERS}/invite"
_USER = f"{_USERS}/{{user_id}}"


@router.route("GET", _USERS, min_role=Role.ANALYST)
def list_users(caller: Caller, query: Annotated[PageQuery, Query()]) -> Response[UsersResponse]:
    """List users, newest first."""
    after = cursor_of(query.token, caller.tenant_id, "users", form=f"{TIME_TEXT}#{VISIBLE}")
    users, next_cursor = UserTable(wiring.tenant_store(), caller.tenant_id).page(limit=query.limit, after=after)
    return ok(
        UsersResponse(
            users=[User.model_validate(user) for user in users],
            pagination=page_after(next_cursor, caller.tenant_id, "users"),
        )
    )


def _replay_created(caller: TenantContext, user_id: str) -> Response[UserResponse]:
    return _created_response(caller, UserTable(wiring.tenant_store(), caller.tenant_id).get(user_id))


@router.route("POST", _INVITE, min_role=Role.TENANT_ADMIN, statuses=(201,), replay=_replay_created)
def invite_user(caller: Caller, call: CurrentCall, body: Annotated[NewUser, Body()]) -> Response[UserResponse]:
    """Invite a user, who can then sign in to the tenant."""
    user = invitations.invite_user(
        wiring.tenant_store(),
        wiring.user_pool(),
        caller.tenant_id,
        Invitation(body.email, Role(body.role), features_of(body.features), call.now),
        now=call.now,
        idempotency_key=call.idempotency_key,
    )
    return _created_response(caller, user)


@router.route("PATCH", _USER, min_role=Role.TENANT_ADMIN)
@router.route("PUT", _USER, min_role=Role.TENANT_ADMIN, documented=False)
def update_user(
    caller: Caller, call: CurrentCall, user_id: str, body: Annotated[UserPatch, Body()]
) -> Response[UserResponse]:
    """Change a user's role, features or address. New tokens contain the change."""
    sent = body.model_fields_set
    change = UserChange(
        role=Role(body.role) if "role" in sent else None,
        features=features_of(body.features),
        sets_features="features" in sent,
        email=body.email or None,
    )
    store, user_pool = wiring.tenant_store(), wiring.user_pool()
    return _user_response(
        operations.change_user(
            store, user_pool, caller.tenant_id, user_id, change, now=call.now, if_match=call.if_match
        )
    )


@router.route("DELETE", _USER, min_role=Role.TENANT_ADMIN, statuses=(204,))
def remove_user(caller: Caller, call: CurrentCall, user_id: str) -> Response[None]:
    """Remove a user. An id token that was issued before expires within 15 minutes and cannot be renewed."""
    operations.remove_user(wiring.tenant_store(), caller.tenant_id, user_id, now=call.now, if_match=call.if_match)
    return no_content()


def features_of(features: list[Any] | None) -> domain.Features:
    """Return the features of a request as the domain represents them."""
    return None if features is None else tuple(str(feature) for feature in features)


def _user_response(user: domain.User) -> Response[UserResponse]:
    return ok(UserResponse(user=User.model_validate(user)), etag=user.seq)


def _created_response(caller: TenantContext, user: domain.User) -> Response[UserResponse]:
    location = _USER.format(tenant_id=caller.tenant_id, user_id=user.user_id)
    return created(UserResponse(user=User.model_validate(user)), location=location, etag=user.seq)
