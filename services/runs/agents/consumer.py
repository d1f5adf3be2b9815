"""Event handlers that keep the copies of agents and versions."""

from services.runs import wiring
from services.runs.agents.domain import AgentCopy, VersionCopy
from services.runs.agents.table import AgentCopyTable, VersionCopyTable
from shared.document_ref import DocumentRef
from shared.events.agents import (
    AgentAliasMoved,
    AgentCreated,
    AgentDeleted,
    AgentState,
    AgentUpdated,
    AgentVersionPublished,
)
from shared.events.envelope import Event
from shared.messaging.consumer import EventRouter
from shared.storage.inbox import Delivery

events = EventRouter()


@events.on(AgentCreated, AgentUpdated, AgentAliasMoved)
def update_agent(event: Event[AgentState], delivery: Delivery) -> None:
    """Update the copy of the agent: its live version and project."""
    payload = event.data
    copy = AgentCopy(
        agent_id=payload.agent_id,
        seq=event.seq,
        project_id=payload.project_id,
        live_version=payload.live_version,
        latest_version=payload.latest_version,
        deleted=False,
        received_at=delivery.received_at,
    )
    AgentCopyTable(wiring.slice_store(), event.tenant_id).keep(copy)


@events.on(AgentDeleted)
def delete_agent(event: Event[AgentDeleted], delivery: Delivery) -> None:
    """Replace the copy of the agent with a tombstone, so that late events cannot recreate it."""
    tombstone = AgentCopy(
        agent_id=event.data.agent_id,
        seq=event.seq,
        project_id=None,
        live_version=0,
        latest_version=0,
        deleted=True,
        received_at=delivery.received_at,
    )
    AgentCopyTable(wiring.slice_store(), event.tenant_id).keep(tombstone)


@events.on(AgentVersionPublished)
def add_version(event: Event[AgentVersionPublished], _: Delivery) -> None:
    """Store the copy of the version, so that runs can be pinned to it."""
    payload = event.data
    copy = VersionCopy(payload.agent_id, payload.version, DocumentRef(payload.config_key, payload.config_sha256))
    VersionCopyTable(wiring.slice_store(), event.tenant_id).keep(copy)
