"""Handlers of events that change the user pool, operators' commands on users, and the sweep."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from services.tenants import wiring
from services.tenants.users.domain import Invitation, User, UserChange
from services.tenants.users.operations import invitations, pool_sync, rollouts, users
from services.tenants.users.operations.import_existing import import_existing
from services.tenants.users.operations.seed import seed
from services.tenants.users.schemas import Email
from shared.events.envelope import Event
from shared.events.tenants import (
    TenantPlanChanged,
    UserDisabled,
    UserEmailChanged,
    UserEvent,
    UserInvited,
    UserRemoved,
    UserRoleChanged,
)
from shared.messaging.commands import CommandRouter
from shared.messaging.consumer import EventRouter
from shared.messaging.schedule import WorkReport, scheduled
from shared.storage.inbox import Delivery
from shared.tenancy.permissions import Feature, Role
from shared.times import to_text, utc_now

events = EventRouter()
commands = CommandRouter()


class _SeedInput(BaseModel):
    model_config = ConfigDict(extra="forbid")

    temporary_password: str | None = None
    platform_admin: str | None = None


class _ImportInput(BaseModel):
    model_config = ConfigDict(extra="forbid")

    tenant_ids: list[str]
    token: str | None = None


class _TenantInput(BaseModel):
    model_config = ConfigDict(extra="forbid")

    tenant_id: str


class _UserInput(BaseModel):
    model_config = ConfigDict(extra="forbid")

    email: Annotated[str, Field(max_length=128)]


class _NewUserInput(BaseModel):
    model_config = ConfigDict(extra="forbid")

    email: Email
    role: Role
    tenant_id: str | None = None
    features: list[Feature] | None = None
    temporary_password: str | None = None


class _RoleInput(_UserInput):
    role: Role


class _EmailInput(_UserInput):
    new_email: Email


@events.on(UserInvited, UserRoleChanged, UserEmailChanged, UserDisabled, UserRemoved)
def sync_user(event: Event[UserEvent], _: Delivery) -> None:
    """Update the pool from the user's current row. Events may come in any order."""
    pool_sync.sync_user(wiring.slice_store(), wiring.user_pool(), event.tenant_id, event.data.user_id)


@events.on(TenantPlanChanged)
def start_rollout(event: Event[TenantPlanChanged], _: Delivery) -> None:
    """Begin to update all users in the pool, so that their new tokens contain the plan."""
    rollouts.roll_out_plan(wiring.slice_store(), wiring.user_pool(), event.tenant_id, event.id, now=utc_now())


@scheduled("swept")
def sweep() -> WorkReport:
    """Finish invitations that a crash interrupted, and update the users who do not have a new plan yet.

    It runs every few minutes.
    """
    store, user_pool, now = wiring.slice_store(), wiring.user_pool(), utc_now()
    finished = invitations.finish_invitations(store, user_pool, now=now)
    rolled_out = rollouts.sweep_rollouts(store, user_pool, now=now)
    measured = {metric: number + rolled_out.metrics[metric] for metric, number in finished.metrics.items()}
    return {"invitations": len(finished.results), "plans": rolled_out.handled}, measured


@commands.on("seed", _SeedInput)
def seed_environment(command: _SeedInput) -> dict[str, Any]:
    """Create the default tenants and users that do not exist."""
    seeded = seed(
        wiring.slice_store(),
        wiring.user_pool(),
        platform_admin=command.platform_admin,
        temporary_password=command.temporary_password,
        now=utc_now(),
    )
    return {
        "tenants": [{"tenant_id": tenant_id, "created": created} for tenant_id, created in seeded.tenants.items()],
        "users": [
            {"email": user.email, "tenant_id": user.tenant_id, "role": user.role, "created": created}
            for user, created in seeded.users.items()
        ],
    }


@commands.on("import_existing", _ImportInput)
def import_tenants_and_users(command: _ImportInput) -> dict[str, Any]:
    """Publish events for tenants and users that were created with AWS tools."""
    result = import_existing(
        wiring.slice_store(), wiring.user_pool(), command.tenant_ids, now=utc_now(), token=command.token
    )
    return {
        "tenants": result.tenants,
        "users": result.users,
        "left": result.left,
        "next_token": result.next_token,
    }


@commands.on("list_users", _TenantInput)
def list_users(command: _TenantInput) -> dict[str, Any]:
    """List the users of a tenant."""
    return {"users": [_user_to_response(user) for user in users.list_users(wiring.slice_store(), command.tenant_id)]}


@commands.on("create_user", _NewUserInput)
def create_user(command: _NewUserInput) -> dict[str, Any]:
    """Create a user of a tenant, or a platform admin if no tenant is given."""
    created = invitations.create_user(
        wiring.slice_store(),
        wiring.user_pool(),
        command.tenant_id,
        Invitation(command.email, command.role, _feature_names(command.features), utc_now()),
        temporary_password=command.temporary_password,
    )
    return {"user": {"email": command.email, "tenant_id": command.tenant_id, "role": command.role, "created": created}}


@commands.on("set_role", _RoleInput)
def set_role(command: _RoleInput) -> dict[str, Any]:
    """Change the role of a tenant's user."""
    tenant_id, user_id = users.find_by_address(wiring.user_pool(), command.email)
    change = UserChange(role=users.tenant_role(command.role))
    user = users.change_user(wiring.slice_store(), wiring.user_pool(), tenant_id, user_id, change, now=utc_now())
    return {"user": _user_to_response(user)}


@commands.on("set_email", _EmailInput)
def set_email(command: _EmailInput) -> dict[str, Any]:
    """Change the address of a tenant's user."""
    tenant_id, user_id = users.find_by_address(wiring.user_pool(), command.email)
    change = UserChange(email=command.new_email)
    user = users.change_user(wiring.slice_store(), wiring.user_pool(), tenant_id, user_id, change, now=utc_now())
    return {"user": _user_to_response(user)}


@commands.on("disable_user", _UserInput)
def disable_user(command: _UserInput) -> dict[str, Any]:
    """Disable a tenant's user or a platform admin, who can then neither sign in nor refresh tokens."""
    users.disable_by_address(wiring.slice_store(), wiring.user_pool(), command.email, now=utc_now())
    return {"user": {"email": command.email, "status": "disabled"}}


def _feature_names(features: list[Feature] | None) -> tuple[str, ...] | None:
    return None if features is None else tuple(feature.value for feature in features)


def _user_to_response(user: User) -> dict[str, Any]:
    return {
        "user_id": user.user_id,
        "email": user.email,
        "role": user.role,
        "status": user.status,
        "created_at": to_text(user.created_at),
    }
