"""All that is not HTTP: the operators' commands."""

from typing import Any

from pydantic import BaseModel, ConfigDict

from services.tenants import operations, table, wiring
from shared.messaging.commands import Commands
from shared.times import to_text, utc_now

admin = Commands()


class _Nothing(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Seed(BaseModel):
    model_config = ConfigDict(extra="forbid")

    temporary_password: str | None = None
    platform_admin: str | None = None


class _OfTenant(BaseModel):
    model_config = ConfigDict(extra="forbid")

    tenant_id: str


@admin.on("seed", _Seed)
def seed(asked: _Seed) -> dict[str, Any]:
    """Make the default tenants and users, unless they are there."""
    seeded = operations.seed(
        wiring.slice_store(),
        wiring.identity(),
        platform_admin=asked.platform_admin,
        temporary_password=asked.temporary_password,
        now=utc_now(),
    )
    return {
        "tenants": [{"tenant_id": tenant_id, "created": created} for tenant_id, created in seeded.tenants.items()],
        "users": [
            {"email": user.email, "tenant_id": user.tenant_id, "role": user.role, "created": created}
            for user, created in seeded.users.items()
        ],
    }


@admin.on("list_tenants", _Nothing)
def list_tenants(_: _Nothing) -> dict[str, Any]:
    """All tenants."""
    return {
        "tenants": [
            {
                "tenant_id": tenant.tenant_id,
                "name": tenant.name,
                "plan": tenant.plan,
                "status": tenant.status,
                "created_at": to_text(tenant.created_at),
            }
            for tenant in table.list_tenants(wiring.slice_store())
        ]
    }


@admin.on("list_users", _OfTenant)
def list_users(asked: _OfTenant) -> dict[str, Any]:
    """The users of one tenant."""
    return {
        "users": [
            {
                "user_id": user.user_id,
                "email": user.email,
                "role": user.role,
                "created_at": to_text(user.created_at),
            }
            for user in operations.list_users(wiring.slice_store(), asked.tenant_id)
        ]
    }
