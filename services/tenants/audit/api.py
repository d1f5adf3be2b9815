"""HTTP API of the audit log: every change, with its principal, time and network."""

from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query

from services.tenants import wiring
from services.tenants.audit.schemas import AuditEntry, AuditResponse
from services.tenants.audit.table import AuditLog
from shared.http.call import Caller
from shared.http.pagination import PageQuery, cursor_of, page_after
from shared.http.responses import ok
from shared.http.router import Router
from shared.ids import VISIBLE
from shared.tenancy.permissions import Role
from shared.times import TIME_TEXT

router = Router()


@router.route("GET", "/v1/tenants/{tenant_id}/audit", min_role=Role.TENANT_ADMIN)
def list_audit_entries(caller: Caller, query: Annotated[PageQuery, Query()]) -> Response[AuditResponse]:
    """List the changes in the tenant, newest first."""
    after = cursor_of(query.token, caller.tenant_id, "audit", form=f"{TIME_TEXT}#{VISIBLE}")
    entries, next_cursor = AuditLog(wiring.tenant_store(), caller.tenant_id).page(limit=query.limit, after=after)
    return ok(
        AuditResponse(
            audit=[AuditEntry.of(entry) for entry in entries],
            pagination=page_after(next_cursor, caller.tenant_id, "audit"),
        )
    )
