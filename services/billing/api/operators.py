"""All tenants' books, for operators: an application of its own that reaches the slice of every tenant."""

from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query
from pydantic import BaseModel, ConfigDict

from services.billing import wiring
from services.billing.domain.reconciliation import Finding
from services.billing.operations import reconciling
from shared.http.answers import ListAnswer, ok
from shared.http.app import HttpApp
from shared.http.call import CurrentCall
from shared.http.pagination import PageQuery, page_after, place_of
from shared.ids import TENANT_ID
from shared.tenancy.permissions import Role

app = HttpApp()


class Drift(BaseModel):
    """One number that is not what it should be."""

    model_config = ConfigDict(from_attributes=True)

    tenant_id: str
    place: str
    """`sync ledger`, `stripe`, `stripe day`, `invoice` or `subscription`."""
    at: str
    """The start of the hour, or of an invoice line's period."""
    meter: str
    expected: int
    found: int
    subject: str | None
    """The meter event or the invoice."""


class NotCompared(BaseModel):
    """A tenant whose books could not be compared."""

    tenant_id: str
    reason: str


class ReconcileAnswer(ListAnswer):
    """Where the books of some tenants do not agree; `pending` is what is on its way."""

    drift: list[Drift]
    pending: list[Drift]
    failed: list[NotCompared]
    """Compare them one by one with `ainexus reconcile --tenant`."""
    tenants: int
    """So many were looked at."""


@app.route("GET", "/v1/admin/billing/reconcile", least=Role.PLATFORM_ADMIN)
def reconcile(call: CurrentCall, query: Annotated[PageQuery, Query()]) -> Response[ReconcileAnswer]:
    """What was used in 60 days, what the sync ledger says of it, what Stripe has and what it has billed, compared."""
    after = place_of(query.token, "", "reconcile", form=TENANT_ID.pattern)
    page = reconciling.compare_some(
        wiring.slice_store(), wiring.find_payments(), limit=query.limit, after=after, now=call.now
    )
    findings = [(tenant_id, finding) for tenant_id, of_tenant in page.findings.items() for finding in of_tenant]
    return ok(
        ReconcileAnswer(
            drift=[_shown(tenant_id, one) for tenant_id, one in findings if not one.pending],
            pending=[_shown(tenant_id, one) for tenant_id, one in findings if one.pending],
            failed=[NotCompared(tenant_id=tenant_id, reason=reason) for tenant_id, reason in page.failed.items()],
            tenants=len(page.findings) + len(page.failed),
            pagination=page_after(page.place, "", "reconcile"),
        )
    )


def _shown(tenant_id: str, finding: Finding) -> Drift:
    drift = finding.drift
    return Drift(
        tenant_id=tenant_id,
        place=drift.place,
        at=drift.at,
        meter=drift.meter,
        expected=drift.expected,
        found=drift.found,
        subject=drift.subject,
    )
