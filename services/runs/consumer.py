"""All that is not HTTP: the queue of runs, the events of other services, direct invocations, the reaper."""

import random
import time
from functools import cache
from typing import Any

from services.runs import wiring
from services.runs.domain.agent import AgentCopy, VersionCopy
from services.runs.gateways.models import ProviderModels
from services.runs.operations.execution import Worker
from services.runs.operations.reaping import reap
from services.runs.operations.stopping import begin_stop, finish_stops
from services.runs.table import TRACES, agents
from shared.copies.tenant_access import TENANT_CHANGES, TenantAccessCopies
from shared.events.agents import (
    AgentAliasMoved,
    AgentCreated,
    AgentDeleted,
    AgentState,
    AgentUpdated,
    AgentVersionPublished,
)
from shared.events.envelope import Event
from shared.events.runs import RunQueued
from shared.events.tenants import TenantCreated, TenantDeletionRequested, TenantState
from shared.messaging.consumer import EventConsumer
from shared.observability import logger
from shared.removal import remover as remover_of
from shared.storage.credentials import acting_for
from shared.storage.inbox import Delivery
from shared.stored import Stored
from shared.times import utc_now

queue = EventConsumer("runs.worker", concurrently=True)
events = EventConsumer("runs.consumer", is_deleted=wiring.is_deleted)
remover = remover_of("runs", store=wiring.slice_store, traces=TRACES, buckets=wiring.buckets)


def worker(batch: dict[str, Any], context: object = None) -> dict[str, Any]:
    """Executes the runs of a batch at the same time, or the one that the api function waits for."""
    if "Records" in batch:
        return queue(batch, context)
    _execute(batch["tenant_id"], batch["run_id"])
    return {}


@queue.on(RunQueued)
def execute_queued_run(event: Event[RunQueued], _: Delivery) -> None:
    """A message whose run is leased or final is done with: only the reaper gives a run back."""
    _execute(event.tenant_id, event.data.run_id)


def _execute(tenant_id: str, run_id: str) -> None:
    with acting_for(tenant_id):
        _worker().execute(tenant_id, run_id)


@cache
def _worker() -> Worker:
    """Made here and not in the wiring, which the api function imports too: it needs no models."""
    return Worker(
        runs=wiring.tenant_runs(),
        configs=wiring.configs(),
        models=ProviderModels(),
        simulate_without_key=wiring.simulates_without_key(),
        clock=utc_now,
        sleep=time.sleep,
        jitter=random.uniform,
    )


def reaper(_: dict[str, Any], context: object = None) -> None:  # noqa: ARG001 — Lambda passes it
    """Every minute: runs that nobody has leased in time, and those whose lease ran out."""
    runs, now = wiring.slice_runs(), utc_now()
    logger.info("reaped", runs=reap(runs, now=now), stopped=finish_stops(wiring.slice_store(), runs, now=now))


@events.on(TenantCreated, *TENANT_CHANGES)
def keep_tenant(event: Event[TenantState], _: Delivery) -> None:
    """The tenant's status, plan and features are known here."""
    TenantAccessCopies(wiring.slice_store()).keep(event)


@events.on(TenantDeletionRequested)
def stop_runs(event: Event[TenantDeletionRequested], delivery: Delivery) -> None:
    """No run begins any more; the reaper cancels what is under way and says when all have ended."""
    TenantAccessCopies(wiring.slice_store()).keep(event)
    begin_stop(wiring.slice_store(), event.tenant_id, seq=event.seq, now=delivery.received_at)


@events.on(AgentCreated, AgentUpdated, AgentAliasMoved)
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


@events.on(AgentDeleted)
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


@events.on(AgentVersionPublished)
def keep_version(event: Event[AgentVersionPublished], _: Delivery) -> None:
    """Runs can be pinned to this version."""
    said = event.data
    copy = VersionCopy(said.agent_id, said.version, Stored(said.config_key, said.config_sha256))
    agents.keep_version(wiring.slice_store(), event.tenant_id, copy)
