"""Response models of the audit log."""

from typing import Self

from shared.events.envelope import Event
from shared.events.tenants import AuditFact, ChangeRecorded
from shared.http.responses import ListResponse
from shared.schema import DocumentedModel
from shared.times import Rfc3339


class AuditEntry(DocumentedModel):
    """A change in the tenant."""

    request_id: str
    at: Rfc3339
    """The time of the change."""
    principal: str
    """`user:<id>`, `service:<name>`, or `operator`."""
    role: str
    """The role of the caller."""
    action: str
    """The route, for example `PUT /v1/tenants/{tenant_id}/agents/{agent_id}`, or the command, or the event."""
    target: str
    """The path of the request."""
    network: str
    """The network that the request came from: the first half of the caller's IP address."""
    result: str
    """`done`. Refused requests are not recorded, because they change nothing."""
    facts: list[AuditFact]
    """The versions of the resources after the change."""

    @classmethod
    def of(cls, event: Event[ChangeRecorded]) -> Self:
        """Return the response body of an entry."""
        return cls(request_id=event.subject, at=event.occurred_at, **event.data.model_dump())


class AuditResponse(ListResponse):
    """A page of the audit log, newest first."""

    audit: list[AuditEntry]
