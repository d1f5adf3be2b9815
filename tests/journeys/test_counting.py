"""Every token is counted exactly once: under load, after duplicate deliveries, and after a worker is killed."""

import json
import os
import signal
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.steps import CLIENTS, Steps, wait_for
from tests.mesh import Mesh

pytestmark = pytest.mark.mesh

RUN_COUNT = 200


@pytest.fixture(scope="module")
def bus_listener(mesh: Mesh) -> Generator["BusListener"]:
    """Yield a listener that receives every event on the bus."""
    listener = BusListener(mesh)
    yield listener
    listener.close()


class BusListener:
    """A bus listener with a queue of its own."""

    _NAME = "journey-bus-listener"

    def __init__(self, mesh: Mesh) -> None:
        self._clients = mesh.clients
        self._bus = mesh.outputs["EventBusName"]
        self._events = mesh.clients.events
        self._url = mesh.clients.sqs.create_queue(QueueName=self._NAME)["QueueUrl"]
        arn = mesh.clients.sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=["QueueArn"])["Attributes"][
            "QueueArn"
        ]
        pattern = json.dumps({"source": [{"prefix": "ainexus."}]})
        self._events.put_rule(Name=self._NAME, EventBusName=self._bus, EventPattern=pattern)
        self._events.put_targets(Rule=self._NAME, EventBusName=self._bus, Targets=[{"Id": "queue", "Arn": arn}])

    def received(self) -> list[dict[str, Any]]:
        """Return all events since the last call."""
        events: list[dict[str, Any]] = []
        while True:
            batch = self._clients.sqs.receive_message(QueueUrl=self._url, MaxNumberOfMessages=10).get("Messages", [])
            if not batch:
                return events
            for message in batch:
                events.append(json.loads(message.get("Body", "{}")))
                self._clients.sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message.get("ReceiptHandle", ""))

    def close(self) -> None:
        """Remove the queue and its rule."""
        self._events.remove_targets(Rule=self._NAME, EventBusName=self._bus, Ids=["queue"])
        self._events.delete_rule(Name=self._NAME, EventBusName=self._bus)
        self._clients.sqs.delete_queue(QueueUrl=self._url)


def _messages(count: int = RUN_COUNT, *, delay_ms: int = 0) -> list[str]:
    return [f"run {number} [[tokens {10 + number % 40}]] [[delay {delay_ms}]]" for number in range(count)]


@dataclass(frozen=True)
class Load:
    """The ended runs of one agent, which were submitted eight at a time while the listener received their events."""

    agent_id: str
    runs: list[dict[str, Any]]


@pytest.fixture(name="load", scope="module")
def run_all(mesh: Mesh, bus_listener: BusListener) -> Load:  # noqa: ARG001 — it must receive their events
    """Execute 200 runs."""
    steps = Steps(mesh)
    agent_id = steps.create_agent()
    return Load(agent_id, [steps.wait_for_end(run_id) for run_id in steps.submit_all(agent_id, _messages())])


class TestConcurrentRuns:
    def test_are_all_completed_and_counted_once(self, steps: Steps, load: Load) -> None:
        assert [run["status"] for run in load.runs] == ["completed"] * RUN_COUNT
        steps.assert_counted_once(load.agent_id, load.runs)
        assert steps.dead_letters() == {}


class TestDuplicateEvents:
    def test_change_nothing(self, mesh: Mesh, steps: Steps, bus_listener: BusListener, load: Load) -> None:
        agent_id, runs = load.agent_id, load.runs
        events = bus_listener.received()
        assert len({event["detail"]["id"] for event in events}) >= 3 * RUN_COUNT
        for event in events:
            _restore_outbox_item(mesh, event)
        republished: list[dict[str, Any]] = []
        while len(republished) < len(events):
            republished += wait_for(bus_listener.received, description="all events are published again")
        assert [steps.get_run(run["run_id"]) for run in runs] == runs
        steps.assert_counted_once(agent_id, runs)
        assert steps.dead_letters() == {}


class TestKilledWorker:
    def test_runs_are_completed_by_another_attempt_and_counted_once(self, mesh: Mesh, steps: Steps) -> None:
        agent_id = steps.create_agent()
        run_ids = steps.submit_all(agent_id, _messages(4 * CLIENTS, delay_ms=2_000))
        wait_for(
            lambda: any(steps.get_run(run_id)["status"] == "running" for run_id in run_ids),
            description="a worker has runs",
        )
        assert _kill_workers(mesh), "no worker process was found"
        runs = [steps.wait_for_end(run_id, timeout_s=180) for run_id in run_ids]
        assert [run["status"] for run in runs] == ["completed"] * len(runs)
        lost = [run for run in runs if len(run["attempts"]) > 1]
        assert lost, "the kill hit no run"
        for run in lost:
            assert run["attempts"][0]["outcome"] == "lost"
            assert run["attempts"][0]["usage_certain"] is False
            assert run["usage"]["tokens_uncertain"] > 0
        steps.assert_counted_once(agent_id, runs)
        assert steps.dead_letters() == {}


def _restore_outbox_item(mesh: Mesh, event: dict[str, Any]) -> None:
    """Write an event into its outbox again, as if it had never been published."""
    detail = event["detail"]
    owner = {"tenants": "TENANTS", "agents": "AGENTS", "runs": "RUNS", "metering": "USAGE", "billing": "BILLING"}
    tables = {"TENANTS": "tenants", "BILLING": "tenants", "AGENTS": "entities", "RUNS": "entities", "USAGE": "usage"}
    owned = owner[event["source"].removeprefix("ainexus.")]
    mesh.clients.dynamodb.put_item(
        TableName=f"ainexus-local-{tables[owned]}",
        Item={
            "PK": {"S": f"TENANT#{detail['tenant_id']}#{owned}#OUTBOX"},
            "SK": {"S": f"OUTBOX#{detail['id']}"},
            "source": {"S": event["source"]},
            "type": {"S": event["detail-type"]},
            "event": {"S": json.dumps(detail)},
            "due_pk": {"S": f"DUE#{owned}#OUTBOX"},
            "due_sk": {"S": f"{detail['occurred_at']}#{detail['id']}"},
        },
    )


def _kill_workers(mesh: Mesh) -> list[int]:
    """Kill the processes of the runs worker, which the engine of this mesh has started."""
    killed: list[int] = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if str(mesh.target.mesh.home.scratch) in command and "runs-worker" in command:
            os.kill(int(folder.name), signal.SIGKILL)
            killed.append(int(folder.name))
    return killed
