"""The worker: the queue of runs, and the runs that the api function waits for."""

import os
import time
from functools import cache
from typing import Any

from services.runs import wiring
from services.runs.gateways.addresses import Addresses
from services.runs.gateways.keys import ProviderKeys
from services.runs.gateways.models import ProviderModels
from services.runs.operations.execution import Worker
from shared.events.envelope import Event
from shared.events.runs import RunQueued
from shared.messaging.consumer import EventConsumer
from shared.randomness import RANDOM
from shared.storage.clients import own_client, tenant_client
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
    return {"written": _execute_leased(batch["run"])}


@queue.on(RunQueued)
def execute_queued_run(event: Event[RunQueued], _: Delivery) -> None:
    """A message whose run is leased or final is done with: only the reaper gives a run back."""
    _execute(event.tenant_id, event.data.run_id)


def _execute(tenant_id: str, run_id: str) -> Item | None:
    with acting_for(tenant_id), subsegment("run", run_id=run_id, tenant_id=tenant_id):
        return _worker().execute(tenant_id, run_id)


def _execute_leased(run: Item) -> Item | None:
    tenant_id, run_id = str(run["tenant_id"]), str(run["run_id"])
    with acting_for(tenant_id), subsegment("run", run_id=run_id, tenant_id=tenant_id):
        return _worker().execute_leased(run)


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
        bedrock=lambda timeout_s: own_client("bedrock-runtime", read_timeout_s=timeout_s, attempts=1),
        simulate_without_key=os.environ["PROVIDERS_WITHOUT_KEY"] == "simulate",
    )
