"""HTTP API of tenants for operators. It is served by another function, which can access the slice of every tenant."""

from dataclasses import replace
from datetime import datetime
from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Query

from services.tenants import wiring
from services.tenants.tenants import operations
from services.tenants.tenants.domain import tenant as domain
from services.tenants.tenants.domain.limits import merge_limits
from services.tenants.tenants.domain.settings import Settings, StoredSettings
from services.tenants.tenants.schemas import (
    AdminTenant,
    AdminTenantPatch,
    AdminTenantResponse,
    AdminTenantsResponse,
    NewSuspension,
    NewTenant,
    Tenant,
    TenantsResponse,
)
from services.tenants.tenants.table.tenants import AllTenants, TenantRecord
from shared.http.call import Caller, CurrentCall
from shared.http.pagination import PageQuery, cursor_of, page_after
from shared.http.responses import Pagination, created, no_content, ok
from shared.http.router import Router
from shared.ids import TENANT_ID
from shared.plans import Plan
from shared.tenancy.context import TenantContext
from shared.tenancy.permissions import Role
from shared.times import TIME_TEXT

router = Router()

_TENANTS = "/v1/admin/tenants"
_TENANT = f"{_TENANTS}/{{tenant_id}}"
_NO_POSITION = "(?!)"
"""Matches nothing: the list of one tenant has one page."""


@router.route("GET", "/v1/tenants", min_role=Role.OBSERVER)
def list_my_tenants(call: CurrentCall, query: Annotated[PageQuery, Query()]) -> Response[TenantsResponse]:
    """List the tenants that the caller can access: one, or all of them for a platform admin, newest first."""
    if isinstance(call.caller, TenantContext):
        # The query is bound to the caller's tenant, and so are the credentials.
        tenant, settings = TenantRecord(wiring.tenant_store(), call.caller.tenant_id).get_with_settings()
        cursor_of(query.token, call.caller.tenant_id, "tenants", form=_NO_POSITION)
        return ok(TenantsResponse(tenants=[Tenant.of(tenant, settings.values, now=call.now)]))
    page, pagination = _page(query)
    return ok(
        TenantsResponse(
            tenants=[Tenant.of(tenant, settings.in_list, now=call.now) for tenant, settings in page],
            pagination=pagination,
        )
    )


@router.route("GET", _TENANTS, min_role=Role.PLATFORM_ADMIN)
def admin_list_tenants(call: CurrentCall, query: Annotated[PageQuery, Query()]) -> Response[AdminTenantsResponse]:
    """List all tenants, newest first."""
    page, pagination = _page(query)
    return ok(
        AdminTenantsResponse(
            tenants=[AdminTenant.of(tenant, settings.in_list, now=call.now) for tenant, settings in page],
            pagination=pagination,
        )
    )


def _page(query: PageQuery) -> tuple[list[tuple[domain.Tenant, StoredSettings]], Pagination]:
    after = cursor_of(query.token, "", "tenants", form=f"{TIME_TEXT}#{TENANT_ID.pattern}")
    tenants, next_cursor = AllTenants(wiring.slice_store()).page_with_settings(limit=query.limit, after=after)
    return tenants, page_after(next_cursor, "", "tenants")


def _replay_created(_: TenantContext, tenant_id: str) -> Response[AdminTenantResponse]:
    tenant, settings = _record(tenant_id).get_with_settings()
    return _created_response(tenant, settings.values)


@router.route("POST", _TENANTS, min_role=Role.PLATFORM_ADMIN, statuses=(201,), replay=_replay_created)
def create_tenant(call: CurrentCall, body: Annotated[NewTenant, Body()]) -> Response[AdminTenantResponse]:
    """Create a tenant. Its id is never reused."""
    tenant = operations.create_tenant(
        wiring.slice_store(),
        body.tenant_id,
        name=body.name,
        plan=Plan(body.plan),
        own_limits=merge_limits({}, body.limits.sent),
        now=call.now,
        # The record is stored with the new tenant, because the caller belongs to none.
        idempotency_key=replace(call.idempotency_key, tenant_id=body.tenant_id) if call.idempotency_key else None,
    )
    return _created_response(tenant, {})


@router.route("GET", _TENANT, min_role=Role.PLATFORM_ADMIN)
def admin_get_tenant(caller: Caller, call: CurrentCall) -> Response[AdminTenantResponse]:
    """Get a tenant, with the fields that only operators see."""
    return _tenant_response(*_record(caller.tenant_id).get_with_settings(), now=call.now)


@router.route("PATCH", _TENANT, min_role=Role.PLATFORM_ADMIN)
@router.route("PUT", _TENANT, min_role=Role.PLATFORM_ADMIN, documented=False)
def admin_update_tenant(
    caller: Caller, call: CurrentCall, body: Annotated[AdminTenantPatch, Body()]
) -> Response[AdminTenantResponse]:
    """Change a tenant's name, plan, own limits or overage."""
    store = wiring.slice_store()
    tenant = operations.change_tenant(store, caller.tenant_id, body.change, now=call.now, if_match=call.if_match)
    return _tenant_response(tenant, _record(tenant.tenant_id).settings(), now=call.now)


@router.route("DELETE", _TENANT, min_role=Role.PLATFORM_ADMIN, statuses=(204,))
def delete_tenant(caller: Caller, call: CurrentCall) -> Response[None]:
    """Begin to delete a tenant: its runs end, its usage is billed, and all its data is removed."""
    store = wiring.slice_store()
    operations.request_deletion(store, caller.tenant_id, by=caller.principal, now=call.now, if_match=call.if_match)
    return no_content()


@router.route("POST", f"{_TENANT}/suspend", min_role=Role.PLATFORM_ADMIN, statuses=(200,))
def suspend_tenant(
    caller: Caller, call: CurrentCall, body: Annotated[NewSuspension, Body()]
) -> Response[AdminTenantResponse]:
    """Suspend a tenant: it can be read, but not changed, and no run can begin."""
    store = wiring.slice_store()
    tenant = operations.suspend_tenant(store, caller.tenant_id, reason=body.reason, abuse=body.abuse, now=call.now)
    return _tenant_response(tenant, _record(tenant.tenant_id).settings(), now=call.now)


@router.route("POST", f"{_TENANT}/reactivate", min_role=Role.PLATFORM_ADMIN, statuses=(200,))
def reactivate_tenant(caller: Caller, call: CurrentCall) -> Response[AdminTenantResponse]:
    """Lift an operator's suspension. A suspension by billing remains."""
    tenant = operations.reactivate_tenant(wiring.slice_store(), caller.tenant_id, now=call.now)
    return _tenant_response(tenant, _record(tenant.tenant_id).settings(), now=call.now)


def _record(tenant_id: str) -> TenantRecord:
    return TenantRecord(wiring.slice_store(), tenant_id)


def _tenant_response(
    tenant: domain.Tenant, settings: StoredSettings, *, now: datetime
) -> Response[AdminTenantResponse]:
    return ok(AdminTenantResponse(tenant=AdminTenant.of(tenant, settings.values, now=now)), etag=tenant.seq)


def _created_response(tenant: domain.Tenant, settings: Settings) -> Response[AdminTenantResponse]:
    return created(
        AdminTenantResponse(tenant=AdminTenant.of(tenant, settings, now=tenant.created_at)),
        location=_TENANT.format(tenant_id=tenant.tenant_id),
        etag=tenant.seq,
    )
