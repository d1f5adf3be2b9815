"""A bus for the events of experiments, a dataset, and the API, in one process."""

import json
from collections.abc import Callable
from typing import Any

from services.runs import wiring
from services.runs.datasets.domain.dataset import create_dataset, publish_version
from services.runs.datasets.domain.items import Item
from services.runs.datasets.gateway import compress
from services.runs.datasets.operations.validation import write_version
from services.runs.datasets.table import DatasetTable
from services.runs.functions import lab, worker
from services.runs.functions.api import handler as app
from services.runs.partitions import SLICE
from shared.ids import new_id
from shared.storage.items import Key
from shared.storage.transaction import Expression
from shared.tenancy.permissions import Role
from tests.gateway import claims, request
from tests.services.runs.conftest import World
from tests.services.runs.examples import AGENT_ID, NOW, TENANT

EXPERIMENTS = "/v1/tenants/{tenant_id}/experiments"
EXPERIMENT = f"{EXPERIMENTS}/{{experiment_id}}"
CUT = {"max_output_tokens": 4}
"""With this config, the simulated answer ends before the question that it repeats."""


def dataset_of(world: World, *items: Item) -> str:
    """Store a dataset with one version and return its id."""
    datasets, files = DatasetTable(world.store, TENANT), wiring.slice_datasets()
    dataset = create_dataset(dataset_id=new_id("dst", NOW), name="Questions", description=None, now=NOW)
    datasets.create(dataset, idempotency_key=None)
    version = write_version(files, TENANT, dataset, compress(iter(items)), items=len(items), size=1, now=NOW)
    after, events = publish_version(TENANT, dataset, version, now=NOW)
    datasets.publish(after, version, events, storage_gb=1)
    return dataset.dataset_id


def questions(count: int) -> list[Item]:
    """Return items whose expected output is a part of the simulated answer."""
    return [Item(f"q{number}", {"message": f"Question {number}"}, f"Question {number}") for number in range(count)]


def call(
    method: str,
    resource: str,
    body: object = None,
    *,
    role: Role = Role.DEVELOPER,
    query: dict[str, str] | None = None,
    **path: str,
) -> tuple[int, Any]:
    """Return the status and the body of a response; a text if it is not JSON."""
    parameters = {"tenant_id": TENANT, **path}
    answer = app(
        request(method, resource, path_parameters=parameters, claims=claims(role=role), body=body, query=query)
    )
    text = answer["body"]
    is_json = answer["multiValueHeaders"].get("Content-Type", [""])[0].startswith("application/json")
    return answer["statusCode"], json.loads(text) if text and is_json else text


def create(dataset_id: str, **changes: Any) -> str:  # noqa: ANN401 — any field of the body
    """Create an experiment of a whole and a cut answer, and return its id."""
    body = {
        "name": "Cut",
        "dataset_id": dataset_id,
        "variants": [
            {"name": "whole", "agent_id": AGENT_ID},
            {"name": "cut", "agent_id": AGENT_ID, "overrides": CUT},
        ],
        "scorers": [{"name": "repeats", "type": "contains", "primary": True}],
        "minimum_effect": 0.1,
        **changes,
    }
    status, answer = call("POST", EXPERIMENTS, body)
    assert status == 201, answer
    return answer["experiment"]["experiment_id"]


def start(experiment_id: str) -> dict[str, Any]:
    """Start an experiment."""
    status, answer = call("POST", f"{EXPERIMENT}/start", experiment_id=experiment_id)
    assert status == 200, answer
    return answer["experiment"]


def state_of(experiment_id: str) -> dict[str, Any]:
    """Return the status of an experiment with its progress."""
    return call("GET", f"{EXPERIMENT}/status", experiment_id=experiment_id)[1]["status"]


def results_of(experiment_id: str, **query: str) -> dict[str, Any]:
    """Return the results of an experiment."""
    body = call("GET", f"{EXPERIMENT}/results", query=query or None, experiment_id=experiment_id)[1]
    return {**body["results"], "next_token": body["pagination"]["nextToken"]}


class Bus:
    """The outbox of the tenant, delivered to the functions that carry out experiments.

    Args:
        world: the tables.
        times: how often each event is delivered.
    """

    def __init__(self, world: World, *, times: int = 1) -> None:
        self._world = world
        self._times = times
        self.delivered = list[str]()

    def deliver(self, *, until: Callable[[], bool] = lambda: False, max_events: int = 100_000) -> None:
        """Deliver events in the order of their ids, until none is left."""
        while pending := self._pending():
            for key, event in pending:
                if until() or len(self.delivered) >= max_events:
                    return
                self._world.store.remove([key])
                self.delivered.append(event["id"])
                for _ in range(self._times):
                    self._hand(event)

    def _pending(self) -> list[tuple[Key, dict[str, Any]]]:
        pk = SLICE.key(TENANT, "OUTBOX")
        items = list(self._world.store.query_all(Expression("#PK = :pk", {"pk": pk})))
        return [(Key(pk, str(item["SK"])), json.loads(str(item["event"]))) for item in items]

    def _hand(self, detail: dict[str, Any]) -> None:
        record = {"Records": [{"messageId": "m", "body": json.dumps({"detail": detail})}]}
        for function, handler in ((lab.handler.types, lab.handler), (worker.queue.types, worker.handler)):
            if detail["type"] in function:
                assert handler(record) == {"batchItemFailures": []}, detail
