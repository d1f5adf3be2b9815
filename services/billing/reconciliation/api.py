"""HTTP API of the reconciliation, for operators. It can access the billing data of every tenant."""

from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query

from services.billing import wiring
from services.billing.reconciliation.domain import Discrepancy
from services.billing.reconciliation.operations import compare_page
from services.billing.reconciliation.schemas import DriftItem, ReconcileResponse, UncomparedTenant
from shared.http.call import CurrentCall
from shared.http.pagination import PageQuery, cursor_of, page_after
from shared.http.responses import ok
from shared.http.router import Router
from shared.ids import TENANT_ID
from shared.tenancy.permissions import Role

router = Router()


@router.route("GET", "/v1/admin/billing/reconcile", min_role=Role.PLATFORM_ADMIN)
def reconcile_billing(call: CurrentCall, query: Annotated[PageQuery, Query()]) -> Response[ReconcileResponse]:
    """Compare the last 60 days of usage, sync ledger, Stripe's sums and invoices."""
    after = cursor_of(query.token, "", "reconcile", form=TENANT_ID.pattern)
    page = compare_page(
        wiring.slice_store(), wiring.find_stripe_gateway(), limit=query.limit, after=after, now=call.now
    )
    discrepancies = [
        (tenant_id, discrepancy) for tenant_id, of_tenant in page.discrepancies.items() for discrepancy in of_tenant
    ]
    return ok(
        ReconcileResponse(
            drift=[
                _to_drift_item(tenant_id, discrepancy)
                for tenant_id, discrepancy in discrepancies
                if not discrepancy.pending
            ],
            pending=[
                _to_drift_item(tenant_id, discrepancy)
                for tenant_id, discrepancy in discrepancies
                if discrepancy.pending
            ],
            failed=[UncomparedTenant(tenant_id=tenant_id, reason=reason) for tenant_id, reason in page.failed.items()],
            tenants=len(page.discrepancies) + len(page.failed),
            pagination=page_after(page.next_cursor, "", "reconcile"),
        )
    )


def _to_drift_item(tenant_id: str, discrepancy: Discrepancy) -> DriftItem:
    drift = discrepancy.drift
    return DriftItem(
        tenant_id=tenant_id,
        place=drift.place,
        at=drift.at,
        meter=drift.meter,
        expected=drift.expected,
        found=drift.found,
        subject=drift.subject,
    )
