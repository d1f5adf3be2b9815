"""The audit: who did what, when and from where."""

from typing import Annotated, Self

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query
from pydantic import BaseModel

from services.tenants import wiring
from services.tenants.api.application import TENANT, app
from services.tenants.table import audit as table
from shared.events.envelope import Event
from shared.events.tenants import ChangeRecorded, SaidFact
from shared.http.answers import ListAnswer, ok
from shared.http.call import Caller
from shared.http.pagination import PageQuery, page_after, place_of
from shared.ids import VISIBLE
from shared.tenancy.permissions import Role
from shared.times import TIME_TEXT, Rfc3339


class AuditEntry(BaseModel):
    """One change."""

    request_id: str
    at: Rfc3339
    principal: str
    role: str
    action: str
    target: str
    network: str
    """From where: the first half of the caller's internet number."""
    result: str
    facts: list[SaidFact]
    """What was said of it: which resource is in which version since."""

    @classmethod
    def of(cls, event: Event[ChangeRecorded]) -> Self:
        """As it is shown."""
        return cls(request_id=event.subject, at=event.occurred_at, **event.data.model_dump())


class AuditAnswer(ListAnswer):
    """A page of the audit, newest first."""

    audit: list[AuditEntry]


@app.route("GET", f"{TENANT}/audit", least=Role.TENANT_ADMIN)
def list_audit(caller: Caller, query: Annotated[PageQuery, Query()]) -> Response[AuditAnswer]:
    """Every change in the tenant, newest first."""
    after = place_of(query.token, caller.tenant_id, "audit", form=f"{TIME_TEXT}#{VISIBLE}")
    entries, place = table.page_of_entries(wiring.tenant_store(), caller.tenant_id, limit=query.limit, after=after)
    return ok(
        AuditAnswer(
            audit=[AuditEntry.of(entry) for entry in entries], pagination=page_after(place, caller.tenant_id, "audit")
        )
    )
