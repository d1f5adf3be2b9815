"""Handlers of the tenants service's events."""

from services.agents import wiring
from services.agents.agents import operations
from services.agents.agents.table import ProjectCopies, ProjectCopy
from shared.copies.tenant_access import TENANT_STATES
from shared.events.envelope import Event
from shared.events.tenants import ProjectCreated, ProjectDeleted, TenantState
from shared.messaging.consumer import EventRouter
from shared.storage.inbox import Delivery

events = EventRouter()


@events.on(*TENANT_STATES)
def update_tenant_copy(event: Event[TenantState], _: Delivery) -> None:
    """Update the copy of the tenant."""
    wiring.copies().keep(event)


@events.on(ProjectCreated)
def save_project_copy(event: Event[ProjectCreated], _: Delivery) -> None:
    """Allow agents in the project."""
    copy = ProjectCopy(event.data.project_id, event.seq, deleted=False)
    ProjectCopies(wiring.slice_store(), event.tenant_id).keep(copy)


@events.on(ProjectDeleted)
def empty_project(event: Event[ProjectDeleted], delivery: Delivery) -> None:
    """Reject new agents in the project and remove its agents from it."""
    operations.empty_project(
        wiring.slice_store(), event.tenant_id, event.data.project_id, seq=event.seq, now=delivery.received_at
    )
