"""All that is not HTTP: what the tenants service says."""

from services.agents import operations, table, wiring
from shared.copies.tenant_access import TENANT_STATES
from shared.events.envelope import Event
from shared.events.tenants import ProjectCreated, ProjectDeleted, TenantState
from shared.export.exporter import exporter as exporter_of
from shared.messaging.consumer import EventConsumer
from shared.removal import remover as remover_of
from shared.storage.inbox import Delivery

consumer = EventConsumer("agents.consumer", is_deleted=wiring.is_deleted)
remover = remover_of(
    "agents",
    store=wiring.slice_store,
    traces=table.TRACES,
    empty_folder=wiring.empty_folder,
    before=lambda tenant_id: operations.destroy_provider_keys(wiring.every_vault(), tenant_id),
)
exporter = exporter_of("agents", store=wiring.tenant_store, depot=wiring.depot, traces=table.TRACES)


@consumer.on(*TENANT_STATES)
def keep_tenant(event: Event[TenantState], _: Delivery) -> None:
    """What the tenant may do is known from now on."""
    wiring.copies().keep(event)


@consumer.on(ProjectCreated)
def keep_project(event: Event[ProjectCreated], _: Delivery) -> None:
    """Agents can be put into the project."""
    table.keep_project(wiring.slice_store(), event.tenant_id, event.data.project_id, seq=event.seq, deleted=False)


@consumer.on(ProjectDeleted)
def empty_project(event: Event[ProjectDeleted], delivery: Delivery) -> None:
    """The project's agents are in no project any more."""
    operations.empty_project(
        wiring.slice_store(), event.tenant_id, event.data.project_id, seq=event.seq, now=delivery.received_at
    )
