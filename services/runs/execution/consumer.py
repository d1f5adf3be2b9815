"""Execution of queued runs, and of runs for which a client waits."""

import os
import time
from dataclasses import replace
from functools import cache
from typing import Any

from services.runs import wiring
from services.runs.execution.operations.worker import Worker
from services.runs.providers.gateway.addresses import Addresses
from services.runs.providers.gateway.keys import ProviderKeys
from services.runs.providers.gateway.models import ProviderModels
from shared.aws.clients import new_client, own_client, tenant_client
from shared.aws.credentials import acting_for
from shared.copies.recent import RecentStatuses
from shared.events.envelope import Event
from shared.events.runs import RunQueued
from shared.messaging.consumer import EventRouter
from shared.randomness import RANDOM
from shared.storage.inbox import Delivery
from shared.storage.items import Item
from shared.times import utc_now
from shared.tracing import subsegment

events = EventRouter()


def execute_waited_run(invocation: dict[str, Any]) -> dict[str, Any]:
    """Execute a run for which the api function waits, and return it. That function has just checked the tenant."""
    return {"written": _execute(_worker(invocation["tenant_id"]), invocation["run_id"])}


@events.on(RunQueued)
def execute_queued_run(event: Event[RunQueued], _: Delivery) -> None:
    """Execute the run of a message. A run that is leased or has ended needs nothing: only the reaper requeues runs."""
    _execute(replace(_worker(event.tenant_id), status=_statuses().of), event.data.run_id)


def _execute(worker: Worker, run_id: str) -> Item | None:
    tenant_id = worker.runs.tenant_id
    with acting_for(tenant_id), subsegment("run", run_id=run_id, tenant_id=tenant_id):
        return worker.execute(run_id)


@cache
def _statuses() -> RecentStatuses:
    return RecentStatuses(wiring.access, clock=utc_now)


def _worker(tenant_id: str) -> Worker:
    """Return a tenant's worker. It is not part of the wiring, because the api function imports that, without models."""
    return Worker(
        runs=wiring.tenant_runs(tenant_id),
        configs=wiring.configs(),
        models=_models(),
        planner=wiring.planner(tenant_id),
        access=wiring.access,
        price=wiring.price,
        clock=utc_now,
        sleep=time.sleep,
        jitter=RANDOM.uniform,
        new_lease_id=lambda: f"{RANDOM.getrandbits(64):016x}",
    )


@cache
def _models() -> ProviderModels:
    return ProviderModels(
        ProviderKeys(
            os.environ["ENVIRONMENT"],
            of_tenant=lambda: tenant_client("secretsmanager"),
            of_platform=lambda: own_client("secretsmanager"),
            clock=utc_now,
        ),
        addresses=Addresses(allow_private=os.environ["ALLOW_PRIVATE_BASE_URLS"] == "true"),
        bedrock=lambda timeout_s: new_client("bedrock-runtime", read_timeout_s=timeout_s, attempts=1),
        simulate_without_key=os.environ["PROVIDERS_WITHOUT_KEY"] == "simulate",
    )
