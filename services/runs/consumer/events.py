"""Events: those of other services, of which this one keeps copies, and its own that it counts."""

from services.runs import wiring
from services.runs.domain.agent import AgentCopy, VersionCopy
from services.runs.operations.budgets import subtract_ingested
from services.runs.operations.stopping import begin_stop
from services.runs.table import agents, storage
from shared.copies.tenant_access import TENANT_CHANGES
from shared.events.agents import (
    AgentAliasMoved,
    AgentCreated,
    AgentDeleted,
    AgentState,
    AgentUpdated,
    AgentVersionPublished,
)
from shared.events.envelope import Event
from shared.events.metering import UsageBatchIngested, UsageIngested
from shared.events.runs import ArtifactDeleted, ArtifactStored
from shared.events.tenants import TenantCreated, TenantDeletionRequested, TenantState
from shared.messaging.consumer import EventConsumer
from shared.storage.inbox import Delivery
from shared.stored import Stored

CONTROL = tuple(
    kind.TYPE
    for kind in (
        TenantCreated,
        *TENANT_CHANGES,
        TenantDeletionRequested,
        AgentCreated,
        AgentUpdated,
        AgentAliasMoved,
        AgentDeleted,
        AgentVersionPublished,
    )
)
"""The events that do not wait behind usage and artifacts."""

handler = EventConsumer("runs.consumer", is_deleted=wiring.is_deleted)


@handler.on(ArtifactStored)
def count_stored_bytes(event: Event[ArtifactStored], delivery: Delivery) -> None:
    """What the tenant stores is known, for its plan's limit."""
    storage.count_bytes(wiring.slice_store(), event.tenant_id, delivery, more=event.data.bytes)


@handler.on(ArtifactDeleted)
def discount_deleted_bytes(event: Event[ArtifactDeleted], delivery: Delivery) -> None:
    """There is room again."""
    storage.count_bytes(wiring.slice_store(), event.tenant_id, delivery, more=-event.data.bytes)


@handler.on(TenantCreated, *TENANT_CHANGES)
def keep_tenant(event: Event[TenantState], _: Delivery) -> None:
    """The tenant's status, plan and features are known here."""
    wiring.copies().keep(event)


@handler.on(TenantDeletionRequested)
def stop_runs(event: Event[TenantDeletionRequested], delivery: Delivery) -> None:
    """No run begins any more; the reaper cancels what is under way and says when all have ended."""
    wiring.copies().keep(event)
    begin_stop(wiring.slice_store(), event.tenant_id, seq=event.seq, now=delivery.received_at)


@handler.on(AgentCreated, AgentUpdated, AgentAliasMoved)
def keep_agent(event: Event[AgentState], delivery: Delivery) -> None:
    """The agent's live version and project are known here."""
    said = event.data
    copy = AgentCopy(
        agent_id=said.agent_id,
        seq=event.seq,
        project_id=said.project_id,
        live_version=said.live_version,
        latest_version=said.latest_version,
        deleted=False,
        heard_at=delivery.received_at,
    )
    agents.keep_agent(wiring.slice_store(), event.tenant_id, copy)


@handler.on(AgentDeleted)
def bury_agent(event: Event[AgentDeleted], delivery: Delivery) -> None:
    """The agent cannot be run any more; the tombstone outlives events that come late."""
    tombstone = AgentCopy(
        agent_id=event.data.agent_id,
        seq=event.seq,
        project_id=None,
        live_version=0,
        latest_version=0,
        deleted=True,
        heard_at=delivery.received_at,
    )
    agents.keep_agent(wiring.slice_store(), event.tenant_id, tombstone)


@handler.on(AgentVersionPublished)
def keep_version(event: Event[AgentVersionPublished], _: Delivery) -> None:
    """Runs can be pinned to this version."""
    said = event.data
    copy = VersionCopy(said.agent_id, said.version, Stored(said.config_key, said.config_sha256))
    agents.keep_version(wiring.slice_store(), event.tenant_id, copy)


@handler.on(UsageIngested, UsageBatchIngested)
def subtract_from_budget(event: Event[UsageIngested | UsageBatchIngested], delivery: Delivery) -> None:
    """What was used outside of our runs counts against the tenant's month."""
    subtract_ingested(wiring.slice_store(), wiring.slice_budgets(), wiring.copies().read, event, delivery)
