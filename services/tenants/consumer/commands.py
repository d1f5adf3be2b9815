"""What operators ask for by invoking the function `admin`."""

from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from services.tenants import wiring
from services.tenants.domain.certificate import Certificate
from services.tenants.domain.export import Export
from services.tenants.domain.limits import LimitsPatch, merge_limits
from services.tenants.domain.tenant import Deletion, Tenant, TenantChange
from services.tenants.domain.user import Invitation, User, UserChange
from services.tenants.errors import TenantNotFound
from services.tenants.operations import adoption, deletion, exports, seeding, tenants, users
from services.tenants.table import certificates
from services.tenants.table import exports as exports_table
from services.tenants.table import tenants as tenants_table
from shared.ids import new_id
from shared.messaging.commands import Commands
from shared.messaging.quarantine import add_quarantine_commands
from shared.plans import Plan
from shared.tenancy.permissions import Feature, Role
from shared.times import to_text, utc_now

admin = Commands()
add_quarantine_commands(admin, wiring.slice_store)


class _Nothing(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Seed(BaseModel):
    model_config = ConfigDict(extra="forbid")

    temporary_password: str | None = None
    platform_admin: str | None = None


class _OfTenant(BaseModel):
    model_config = ConfigDict(extra="forbid")

    tenant_id: str


class _OfExport(_OfTenant):
    export_id: str


class _Adoption(BaseModel):
    model_config = ConfigDict(extra="forbid")

    tenant_ids: list[str]


class _NewTenant(_OfTenant):
    name: Annotated[str, Field(min_length=1, max_length=200)]
    plan: Plan
    limits: LimitsPatch = LimitsPatch()


class _TenantChange(_OfTenant):
    name: Annotated[str | None, Field(min_length=1, max_length=200)] = None
    plan: Plan | None = None
    limits: LimitsPatch = LimitsPatch()
    overage: Literal["block", "allow"] | None = None


class _Suspension(_OfTenant):
    reason: Annotated[str, Field(min_length=1, max_length=500)]
    abuse: bool = False


class _OfUser(BaseModel):
    model_config = ConfigDict(extra="forbid")

    email: Annotated[str, Field(max_length=128)]


class _NewUser(_OfUser):
    role: Role
    tenant_id: str | None = None
    features: list[Feature] | None = None
    temporary_password: str | None = None


class _NewRole(_OfUser):
    role: Role


@admin.on("seed", _Seed)
def seed(asked: _Seed) -> dict[str, Any]:
    """Make the default tenants and users, unless they are there."""
    seeded = seeding.seed(
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


@admin.on("adopt", _Adoption)
def adopt(asked: _Adoption) -> dict[str, Any]:
    """Announce tenants and users that were made with AWS tools."""
    adopted = adoption.adopt(wiring.slice_store(), wiring.identity(), asked.tenant_ids, now=utc_now())
    return {"tenants": adopted.tenants, "users": adopted.users, "left": adopted.left}


@admin.on("list_tenants", _Nothing)
def list_tenants(_: _Nothing) -> dict[str, Any]:
    """All tenants."""
    return {"tenants": [_shown(tenant) for tenant in tenants_table.list_tenants(wiring.slice_store())]}


@admin.on("create_tenant", _NewTenant)
def create_tenant(asked: _NewTenant) -> dict[str, Any]:
    """A new tenant."""
    tenant = tenants.create_tenant(
        wiring.slice_store(),
        asked.tenant_id,
        name=asked.name,
        plan=asked.plan,
        own_limits=merge_limits({}, asked.limits.sent),
        now=utc_now(),
    )
    return {"tenant": _shown(tenant)}


@admin.on("update_tenant", _TenantChange)
def update_tenant(asked: _TenantChange) -> dict[str, Any]:
    """Another name, plan, limits of its own, or overage."""
    change = TenantChange(asked.name, asked.plan, asked.limits.sent, asked.overage)
    return {"tenant": _shown(tenants.change_tenant(wiring.slice_store(), asked.tenant_id, change, now=utc_now()))}


@admin.on("suspend_tenant", _Suspension)
def suspend_tenant(asked: _Suspension) -> dict[str, Any]:
    """Nothing may be changed in it from now on."""
    tenant = tenants.suspend_tenant(
        wiring.slice_store(), asked.tenant_id, reason=asked.reason, abuse=asked.abuse, now=utc_now()
    )
    return {"tenant": _shown(tenant)}


@admin.on("reactivate_tenant", _OfTenant)
def reactivate_tenant(asked: _OfTenant) -> dict[str, Any]:
    """An operator's suspension is over."""
    return {"tenant": _shown(tenants.reactivate_tenant(wiring.slice_store(), asked.tenant_id, now=utc_now()))}


@admin.on("delete_tenant", _OfTenant)
def delete_tenant(asked: _OfTenant) -> dict[str, Any]:
    """The beginning of its end."""
    tenant = deletion.request_deletion(wiring.slice_store(), asked.tenant_id, by="operator", now=utc_now())
    return {"tenant": _shown(tenant)}


@admin.on("export_tenant", _OfTenant)
def export_tenant(asked: _OfTenant) -> dict[str, Any]:
    """Everything of it is written as JSON lines."""
    now = utc_now()
    export = exports.request_export(wiring.slice_store(), asked.tenant_id, new_id("xpt", now), by="operator", now=now)
    return {"export": _shown_export(export)}


@admin.on("show_export", _OfExport)
def show_export(asked: _OfExport) -> dict[str, Any]:
    """How far it is, and where its files are when it is complete."""
    return {"export": _shown_export(exports_table.get_export(wiring.slice_store(), asked.tenant_id, asked.export_id))}


@admin.on("certificate", _OfTenant)
def certificate(asked: _OfTenant) -> dict[str, Any]:
    """What was removed of a deleted tenant; nothing yet while what it had begun still ends."""
    store = wiring.slice_store()
    try:
        found = certificates.get_certificate(store, asked.tenant_id)
    except TenantNotFound:
        under_way = tenants_table.get_tenant(store, asked.tenant_id).deletion
        if under_way is None:
            raise
        return {"certificate": {"tenant_id": asked.tenant_id, **_shown_deletion(under_way)}}
    removed = {service: asdict(removed) for service, removed in sorted(found.removed.items())}
    said = {**_shown_deletion(found), "deleted_at": to_text(found.deleted_at)}
    return {"certificate": {"tenant_id": found.tenant_id, **said, "complete": found.is_complete, "removed": removed}}


@admin.on("list_users", _OfTenant)
def list_users(asked: _OfTenant) -> dict[str, Any]:
    """The users of one tenant."""
    return {"users": [_shown_user(user) for user in users.list_users(wiring.slice_store(), asked.tenant_id)]}


@admin.on("create_user", _NewUser)
def create_user(asked: _NewUser) -> dict[str, Any]:
    """Let someone sign in; without a tenant it is a platform admin."""
    created = users.create_user(
        wiring.slice_store(),
        wiring.identity(),
        asked.tenant_id,
        Invitation(asked.email.strip().lower(), asked.role, _names(asked.features), utc_now()),
        temporary_password=asked.temporary_password,
    )
    return {"user": {"email": asked.email, "tenant_id": asked.tenant_id, "role": asked.role, "created": created}}


@admin.on("set_role", _NewRole)
def set_role(asked: _NewRole) -> dict[str, Any]:
    """Another role for a user of a tenant."""
    tenant_id, user_id = users.find_by_address(wiring.identity(), asked.email)
    change = UserChange(role=users.tenant_role(asked.role))
    user = users.change_user(wiring.slice_store(), tenant_id, user_id, change, now=utc_now())
    return {"user": _shown_user(user)}


@admin.on("disable_user", _OfUser)
def disable_user(asked: _OfUser) -> dict[str, Any]:
    """No sign-in and no refresh any more; of a platform admin too."""
    users.disable_by_address(wiring.slice_store(), wiring.identity(), asked.email, now=utc_now())
    return {"user": {"email": asked.email, "status": "disabled"}}


def _names(features: list[Feature] | None) -> tuple[str, ...] | None:
    return None if features is None else tuple(feature.value for feature in features)


def _shown_deletion(asked: Deletion | Certificate) -> dict[str, Any]:
    """Who has asked for it and when, as long as nothing was removed."""
    return {
        "requested_by": asked.requested_by,
        "requested_at": to_text(asked.requested_at),
        "deleted_at": None,
        "complete": False,
        "removed": {},
    }


def _shown(tenant: Tenant) -> dict[str, Any]:
    return {
        "tenant_id": tenant.tenant_id,
        "name": tenant.name,
        "plan": tenant.plan,
        "status": tenant.status,
        "overage": tenant.overage,
        "limits": tenant.limits.to_item(),
        "monthly_tokens": tenant.usage.in_month(f"{utc_now():%Y-%m}").monthly_tokens,
        "created_at": to_text(tenant.created_at),
    }


def _shown_export(export: Export) -> dict[str, Any]:
    artifacts = wiring.artifacts()
    return {
        "export_id": export.export_id,
        "tenant_id": export.tenant_id,
        "status": "complete" if export.manifest else "running",
        "requested_at": to_text(export.requested_at),
        "services": {service: {"files": share.files, "lines": share.lines} for service, share in export.shares.items()},
        "manifest_url": exports.address_of_manifest(artifacts, export),
        "files": [asdict(file) for file in exports.files_of(artifacts, export)],
    }


def _shown_user(user: User) -> dict[str, Any]:
    return {
        "user_id": user.user_id,
        "email": user.email,
        "role": user.role,
        "status": user.status,
        "created_at": to_text(user.created_at),
    }
