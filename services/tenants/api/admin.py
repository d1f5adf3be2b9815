"""All tenants, for operators: another application, in a function of its own that reaches the slice of every tenant."""

from dataclasses import replace
from datetime import datetime
from typing import Annotated, Literal

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Query
from pydantic import BaseModel, ConfigDict, Field

from services.tenants import wiring
from services.tenants.api.shapes import (
    AdminTenant,
    AdminTenantAnswer,
    AdminTenantsAnswer,
    Name,
    Overage,
)
from services.tenants.domain import tenant as domain
from services.tenants.domain.limits import LimitsPatch, merge_limits
from services.tenants.domain.settings import Settings, StoredSettings
from services.tenants.domain.tenant import TenantChange
from services.tenants.operations import deletion
from services.tenants.operations import tenants as operations
from services.tenants.table import tenants as table
from shared.http.answers import created, no_content, ok
from shared.http.app import HttpApp
from shared.http.call import Caller, CurrentCall
from shared.http.pagination import PageQuery, page_after, place_of
from shared.ids import TENANT_ID
from shared.plans import Plan
from shared.tenancy.context import TenantContext
from shared.tenancy.permissions import Role
from shared.times import TIME_TEXT

app = HttpApp(store=wiring.slice_store)

_TENANTS = "/v1/admin/tenants"
TENANT = f"{_TENANTS}/{{tenant_id}}"

PlanName = Literal["free", "pro", "enterprise"]


class NewTenant(BaseModel):
    """What to create."""

    model_config = ConfigDict(extra="forbid", strict=True)

    tenant_id: Annotated[str, Field(pattern=f"^{TENANT_ID.pattern}$")]
    name: Name
    plan: PlanName
    limits: LimitsPatch = LimitsPatch()


class AdminTenantPatch(BaseModel):
    """What to change; what is absent stays (RFC 7396)."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: Name = ""
    plan: PlanName = "free"
    limits: LimitsPatch = LimitsPatch()
    overage: Overage = "block"

    @property
    def change(self) -> TenantChange:
        """What was sent, as the domain takes it."""
        sent = self.model_fields_set
        return TenantChange(
            name=self.name or None,
            plan=Plan(self.plan) if "plan" in sent else None,
            limits=self.limits.sent,
            overage=self.overage if "overage" in sent else None,
        )


class NewSuspension(BaseModel):
    """Why nothing may be changed in the tenant."""

    model_config = ConfigDict(extra="forbid", strict=True)

    reason: Annotated[str, Field(min_length=1, max_length=500)]
    abuse: bool = False


@app.route("GET", _TENANTS, least=Role.PLATFORM_ADMIN)
def list_tenants(call: CurrentCall, query: Annotated[PageQuery, Query()]) -> Response[AdminTenantsAnswer]:
    """All tenants, newest first."""
    after = place_of(query.token, "", "tenants", form=f"{TIME_TEXT}#{TENANT_ID.pattern}")
    tenants, place = table.page_of_tenants_with_settings(wiring.slice_store(), limit=query.limit, after=after)
    return ok(
        AdminTenantsAnswer(
            tenants=[AdminTenant.of(tenant, settings.in_list, now=call.now) for tenant, settings in tenants],
            pagination=page_after(place, "", "tenants"),
        )
    )


def _show_created(_: TenantContext, tenant_id: str) -> Response[AdminTenantAnswer]:
    tenant, settings = table.get_tenant_with_settings(wiring.slice_store(), tenant_id)
    return _created(tenant, settings.values)


@app.route("POST", _TENANTS, least=Role.PLATFORM_ADMIN, statuses=(201,), replay=_show_created)
def create_tenant(call: CurrentCall, body: Annotated[NewTenant, Body()]) -> Response[AdminTenantAnswer]:
    """Create a tenant; its id is never given again."""
    tenant = operations.create_tenant(
        wiring.slice_store(),
        body.tenant_id,
        name=body.name,
        plan=Plan(body.plan),
        own_limits=merge_limits({}, body.limits.sent),
        now=call.now,
        # The record lies with the tenant that is made, since the caller belongs to none.
        once=replace(call.once, tenant_id=body.tenant_id) if call.once else None,
    )
    return _created(tenant, {})


@app.route("GET", TENANT, least=Role.PLATFORM_ADMIN)
def get_any_tenant(caller: Caller, call: CurrentCall) -> Response[AdminTenantAnswer]:
    """One tenant, with what only operators see of it."""
    return _shown(*table.get_tenant_with_settings(wiring.slice_store(), caller.tenant_id), now=call.now)


@app.route("PATCH", TENANT, least=Role.PLATFORM_ADMIN)
@app.route("PUT", TENANT, least=Role.PLATFORM_ADMIN)
def change_any_tenant(
    caller: Caller, call: CurrentCall, body: Annotated[AdminTenantPatch, Body()]
) -> Response[AdminTenantAnswer]:
    """Change a tenant's name, plan, own limits or overage."""
    store = wiring.slice_store()
    tenant = operations.change_tenant(store, caller.tenant_id, body.change, now=call.now, if_match=call.if_match)
    return _shown(tenant, table.get_settings(wiring.slice_store(), tenant.tenant_id), now=call.now)


@app.route("DELETE", TENANT, least=Role.PLATFORM_ADMIN, statuses=(204,))
def delete_tenant(caller: Caller, call: CurrentCall) -> Response[None]:
    """Begin a tenant's end: what is under way in it ends, then everything of it is removed."""
    store = wiring.slice_store()
    deletion.request_deletion(store, caller.tenant_id, by=caller.principal, now=call.now, if_match=call.if_match)
    return no_content()


@app.route("POST", f"{TENANT}/suspend", least=Role.PLATFORM_ADMIN, statuses=(200,))
def suspend_tenant(
    caller: Caller, call: CurrentCall, body: Annotated[NewSuspension, Body()]
) -> Response[AdminTenantAnswer]:
    """Let nothing be changed in a tenant, and no run begin; reading goes on."""
    store = wiring.slice_store()
    tenant = operations.suspend_tenant(store, caller.tenant_id, reason=body.reason, abuse=body.abuse, now=call.now)
    return _shown(tenant, table.get_settings(wiring.slice_store(), tenant.tenant_id), now=call.now)


@app.route("POST", f"{TENANT}/reactivate", least=Role.PLATFORM_ADMIN, statuses=(200,))
def reactivate_tenant(caller: Caller, call: CurrentCall) -> Response[AdminTenantAnswer]:
    """Lift an operator's suspension; billing's is billing's to lift."""
    tenant = operations.reactivate_tenant(wiring.slice_store(), caller.tenant_id, now=call.now)
    return _shown(tenant, table.get_settings(wiring.slice_store(), tenant.tenant_id), now=call.now)


def _shown(tenant: domain.Tenant, settings: StoredSettings, *, now: datetime) -> Response[AdminTenantAnswer]:
    return ok(AdminTenantAnswer(tenant=AdminTenant.of(tenant, settings.values, now=now)), etag=tenant.seq)


def _created(tenant: domain.Tenant, settings: Settings) -> Response[AdminTenantAnswer]:
    return created(
        AdminTenantAnswer(tenant=AdminTenant.of(tenant, settings, now=tenant.created_at)),
        location=TENANT.format(tenant_id=tenant.tenant_id),
        etag=tenant.seq,
    )
