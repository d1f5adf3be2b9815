"""A tenant as its own people see it."""

from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body
from pydantic import BaseModel, ConfigDict

from services.tenants import wiring
from services.tenants.api.application import TENANT, app
from services.tenants.api.shapes import Name, Overage, Tenant, TenantAnswer, TenantsAnswer
from services.tenants.domain import tenant as domain
from services.tenants.domain.settings import Settings
from services.tenants.domain.tenant import TenantChange
from services.tenants.operations import tenants as operations
from services.tenants.table import tenants as table
from shared.freejson import FreeObject
from shared.http.answers import ok
from shared.http.call import Caller, CurrentCall
from shared.tenancy.permissions import Role


class TenantPatch(BaseModel):
    """What a tenant's admin may change of it; what is absent stays (RFC 7396)."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: Name = ""
    settings: FreeObject = {}
    """Merged into the settings; all together may have 16 KB."""
    overage: Overage = "block"


@app.route("GET", "/v1/tenants", least=Role.OBSERVER)
def list_my_tenants(caller: Caller, call: CurrentCall) -> Response[TenantsAnswer]:
    """The tenant of the token."""
    tenant, settings = table.get_tenant_with_settings(wiring.tenant_store(), caller.tenant_id)
    return ok(TenantsAnswer(tenants=[Tenant.of(tenant, settings.values, now=call.now)]))


@app.route("GET", TENANT, least=Role.OBSERVER)
def get_tenant(caller: Caller, call: CurrentCall) -> Response[TenantAnswer]:
    """One tenant."""
    tenant, settings = table.get_tenant_with_settings(wiring.tenant_store(), caller.tenant_id)
    return _shown(tenant, settings.values, call)


@app.route("PATCH", TENANT, least=Role.TENANT_ADMIN)
@app.route("PUT", TENANT, least=Role.TENANT_ADMIN)
def change_tenant(caller: Caller, call: CurrentCall, body: Annotated[TenantPatch, Body()]) -> Response[TenantAnswer]:
    """Change the tenant's name, settings, or whether runs go on above the monthly limits."""
    sent = body.model_fields_set
    tenant, settings = operations.change_own_tenant(
        wiring.tenant_store(),
        caller.tenant_id,
        TenantChange(name=body.name or None, overage=body.overage if "overage" in sent else None),
        body.settings,
        now=call.now,
        if_match=call.if_match,
    )
    return _shown(tenant, settings, call)


def _shown(tenant: domain.Tenant, settings: Settings, call: CurrentCall) -> Response[TenantAnswer]:
    return ok(TenantAnswer(tenant=Tenant.of(tenant, settings, now=call.now)), etag=tenant.seq)
