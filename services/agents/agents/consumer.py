"""Handlers of the tenants service's events."""

from services.agents import wiring
from services.agents.agents import operations
from services.agents.projects.table import ProjectCopies, ProjectCopy
from services.agents.prompts import operations as prompts
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
    """Allow agents and prompts in the project."""
    copy = ProjectCopy(event.data.project_id, event.seq, deleted=False)
    ProjectCopies(wiring.slice_store(), event.tenant_id).keep(copy)


@events.on(ProjectDeleted)
def empty_project(event: Event[ProjectDeleted], delivery: Delivery) -> None:
    """Reject new agents and prompts in the project, and remove its agents and prompts from it."""
    store, project_id = wiring.slice_store(), event.data.project_id
    operations.empty_project(store, event.tenant_id, project_id, seq=event.seq, now=delivery.received_at)
    prompts.leave_project(store, event.tenant_id, project_id, now=delivery.received_at)
