"""The worker: the queue of runs, and the runs that the api function waits for."""

import os
import time
from dataclasses import replace
from functools import cache
from typing import Any

from services.runs import wiring
from services.runs.gateways.addresses import Addresses
from services.runs.gateways.keys import ProviderKeys
from services.runs.gateways.models import ProviderModels
from services.runs.operations.execution import Worker
from shared.copies.recent import RecentStatuses
from shared.deadline import invocation
from shared.events.envelope import Event
from shared.events.runs import RunQueued
from shared.messaging.consumer import EventConsumer
from shared.randomness import RANDOM
from shared.storage.clients import new_client, own_client, tenant_client
from shared.storage.credentials import acting_for
from shared.storage.inbox import Delivery
from shared.storage.items import Item
from shared.times import utc_now
from shared.tracing import subsegment

queue = EventConsumer("runs.worker", concurrently=True)


def handler(batch: dict[str, Any], context: object = None) -> dict[str, Any]:
    """Executes the runs of a batch at the same time, or the one that the api function waits for, and gives it back."""
    if "Records" in batch:
        return queue(batch, context)
    with invocation(context):
        # The api function has checked the tenant a moment ago.
        return {"written": _execute(_worker(), batch["tenant_id"], batch["run_id"])}


@queue.on(RunQueued)
def execute_queued_run(event: Event[RunQueued], _: Delivery) -> None:
    """A message whose run is leased or final is done with: only the reaper gives a run back."""
    _execute(replace(_worker(), status=_statuses().of), event.tenant_id, event.data.run_id)


def _execute(worker: Worker, tenant_id: str, run_id: str) -> Item | None:
    with acting_for(tenant_id), subsegment("run", run_id=run_id, tenant_id=tenant_id):
        return worker.execute(tenant_id, run_id)


@cache
def _statuses() -> RecentStatuses:
    return RecentStatuses(wiring.access, clock=utc_now)


@cache
def _worker() -> Worker:
    """Made here and not in the wiring, which the api function imports too: it needs no models."""
    return Worker(
        runs=wiring.tenant_runs(),
        configs=wiring.configs(),
        models=_models(),
        planner=wiring.planner(),
        access=wiring.access,
        price=wiring.price,
        clock=utc_now,
        sleep=time.sleep,
        jitter=RANDOM.uniform,
    )


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
