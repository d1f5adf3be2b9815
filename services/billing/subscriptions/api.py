"""HTTP API of a tenant's plan, checkout and customer portal."""

import hashlib
import json
import os
from collections.abc import Mapping
from typing import Annotated

from aws_lambda_powertools.event_handler import Request, Response
from aws_lambda_powertools.event_handler.openapi.params import Body

from services.billing import wiring
from services.billing.customers.operations import get_customer
from services.billing.subscriptions import operations
from services.billing.subscriptions.domain import CheckoutOrder
from services.billing.subscriptions.operations import PlanChange
from services.billing.subscriptions.schemas import (
    Checkout,
    CheckoutRequest,
    CheckoutResponse,
    PlanResponse,
    PlanUpdate,
    Portal,
    PortalRequest,
    PortalResponse,
    TenantPlan,
)
from shared.http.call import Caller, CurrentCall
from shared.http.responses import created, ok
from shared.http.router import Router
from shared.ids import joined
from shared.tenancy.context import TenantContext
from shared.tenancy.permissions import Role

router = Router()

_BILLING = "/v1/tenants/{tenant_id}/billing"
_PLAN = f"{_BILLING}/plan"


@router.route("GET", _PLAN, min_role=Role.ANALYST)
def get_plan(caller: Caller) -> Response[PlanResponse]:
    """Get the tenant's plan and how it is billed."""
    customer = get_customer(wiring.tenant_store(), caller.tenant_id)
    return ok(PlanResponse(plan=TenantPlan.of(customer)), etag=customer.rev)


@router.route("PATCH", _PLAN, min_role=Role.TENANT_ADMIN)
@router.route("PUT", _PLAN, min_role=Role.TENANT_ADMIN, documented=False)
def update_plan(caller: Caller, call: CurrentCall, body: Annotated[PlanUpdate, Body()]) -> Response[PlanResponse]:
    """Change the plan of a subscription. An upgrade takes effect at once, a downgrade at the end of the period."""
    changed = operations.change_plan(
        wiring.tenant_store(),
        wiring.find_stripe_gateway(),
        caller.tenant_id,
        body.plan,
        now=call.now,
        if_match=call.if_match,
    )
    return _changed(changed)


@router.route("POST", f"{_BILLING}/checkout", min_role=Role.TENANT_ADMIN, statuses=(201,), even_unpaid=True)
def create_checkout(
    caller: Caller, call: CurrentCall, request: Request, body: Annotated[CheckoutRequest, Body()]
) -> Response[CheckoutResponse]:
    """Open a checkout page for a paid plan."""
    order = CheckoutOrder(
        tenant_id=caller.tenant_id,
        plan=body.plan,
        success_url=body.success_url or _default_url(),
        cancel_url=body.cancel_url or _default_url(),
    )
    page = operations.start_checkout(
        wiring.tenant_store(), wiring.stripe_gateway(), order, key=_stripe_key(caller, request.headers), now=call.now
    )
    checkout = Checkout(checkout_id=page.checkout_id, plan=body.plan, url=page.url, expires_at=page.expires_at)
    return created(CheckoutResponse(checkout=checkout), location=page.url)


@router.route("POST", f"{_BILLING}/portal", min_role=Role.TENANT_ADMIN, statuses=(201,), even_unpaid=True)
def open_portal(caller: Caller, body: Annotated[PortalRequest, Body()]) -> Response[PortalResponse]:
    """Open the customer portal with payment methods, invoices and the subscription."""
    url = operations.open_portal(
        wiring.tenant_store(), wiring.stripe_gateway(), caller.tenant_id, return_url=body.return_url or _default_url()
    )
    return created(PortalResponse(portal=Portal(url=url)), location=url)


def _changed(change: PlanChange) -> Response[PlanResponse]:
    return ok(PlanResponse(plan=TenantPlan.of(change.customer, proration=change.proration)), etag=change.customer.rev)


def _default_url() -> str:
    """Return the default URL to go back to: the first allowed origin."""
    return str(json.loads(os.environ["CORS_ORIGINS"])[0])


def _stripe_key(caller: TenantContext, headers: Mapping[str, str]) -> str | None:
    """Return the caller's Idempotency-Key for Stripe. The hash keeps equal keys of different callers apart."""
    key = headers.get("idempotency-key")
    if key is None:
        return None
    return hashlib.sha256(joined(caller.tenant_id, caller.principal, "checkout", key).encode()).hexdigest()
