"""HTTP API of tenants for their own users."""

from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body

from services.tenants import wiring
from services.tenants.tenants import operations
from services.tenants.tenants.domain import tenant as domain
from services.tenants.tenants.domain.settings import Settings
from services.tenants.tenants.domain.tenant import TenantChange
from services.tenants.tenants.schemas import Tenant, TenantPatch, TenantResponse
from services.tenants.tenants.table.tenants import TenantRecord
from shared.http.call import Caller, CurrentCall
from shared.http.responses import ok
from shared.http.router import Router
from shared.tenancy.permissions import Role

router = Router()

_TENANT = "/v1/tenants/{tenant_id}"


@router.route("GET", _TENANT, min_role=Role.OBSERVER)
def get_tenant(caller: Caller, call: CurrentCall) -> Response[TenantResponse]:
    """Get a tenant."""
    tenant, settings = TenantRecord(wiring.tenant_store(), caller.tenant_id).get_with_settings()
    return _tenant_response(tenant, settings.values, call)


@router.route("PATCH", _TENANT, min_role=Role.TENANT_ADMIN)
@router.route("PUT", _TENANT, min_role=Role.TENANT_ADMIN, documented=False)
def update_tenant(caller: Caller, call: CurrentCall, body: Annotated[TenantPatch, Body()]) -> Response[TenantResponse]:
    """Change the tenant's name, its settings, or whether runs continue above the monthly limits."""
    sent = body.model_fields_set
    tenant, settings = operations.change_own_tenant(
        wiring.tenant_store(),
        caller.tenant_id,
        TenantChange(name=body.name or None, overage=body.overage if "overage" in sent else None),
        body.settings,
        now=call.now,
        if_match=call.if_match,
    )
    return _tenant_response(tenant, settings, call)


def _tenant_response(tenant: domain.Tenant, settings: Settings, call: CurrentCall) -> Response[TenantResponse]:
    return ok(TenantResponse(tenant=Tenant.of(tenant, settings, now=call.now)), etag=tenant.seq)
