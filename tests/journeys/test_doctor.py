"""The doctor finds every defect of a mesh, and no defect after all are repaired."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine

from cli.doctor import checks
from cli.doctor.checks import Level
from cli.target import Target
from infra.local import record
from infra.local.clients import engine_clients
from infra.local.engine import Engine
from infra.local.health import free_port
from infra.local.paths import ROOT, Home
from infra.local.process import wait_until_ended
from infra.names import Names
from services.runs.partitions import SLICE as RUNS
from shared.storage.items import Key
from shared.storage.store import Store
from shared.storage.transaction import PRESENT, Expression
from shared.times import to_text, utc_now
from tests.journeys.steps import ConditionNotMet, Steps, wait_for
from tests.mesh import Mesh

pytestmark = pytest.mark.mesh

CONSUMER = "ainexus-local-agents-consumer"
SECRET = "ainexus-local/openai/key"
LATE_OUTBOX_ITEM = {"PK": {"S": "TENANT#doctor#RUNS#OUTBOX"}, "SK": {"S": "LATE"}}
"""The key of an outbox item. Its sort key is not that of an event, so that the publisher ignores it in the stream."""


def _findings(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the doctor's findings by check."""
    command = [sys.executable, "-m", "cli", "doctor", "--json"]
    completed = subprocess.run(command, cwd=ROOT, env=dict(environ), capture_output=True, text=True, check=False)  # noqa: S603 — our own command
    findings: list[dict[str, Any]] = json.loads(completed.stdout)["findings"]
    found = {one["check"]: one["says"] for one in findings if one["level"] == "trouble"}
    assert completed.returncode == int(bool(found)), completed.stderr
    return found


@contextmanager
def _without_secret(mesh: Mesh) -> Generator[None]:
    mesh.clients.secrets.delete_secret(SecretId=SECRET, ForceDeleteWithoutRecovery=True)
    try:
        yield
    finally:
        mesh.clients.secrets.create_secret(Name=SECRET, SecretString="{}")


@contextmanager
def _with_function_that_cannot_start(mesh: Mesh) -> Generator[None]:
    """Configure a function with a missing handler."""
    functions = mesh.clients.functions
    original: dict[str, Any] = dict(functions.get_function_configuration(FunctionName=CONSUMER))
    functions.update_function_configuration(FunctionName=CONSUMER, Handler="services.agents.gone.consumer")
    try:
        yield
    finally:
        functions.update_function_configuration(FunctionName=CONSUMER, Handler=original["Handler"])


@contextmanager
def _with_dead_letter(mesh: Mesh) -> Generator[None]:
    url = mesh.clients.sqs.get_queue_url(QueueName=f"{CONSUMER}-dead-letters")["QueueUrl"]
    mesh.clients.sqs.send_message(QueueUrl=url, MessageBody="{}")
    try:
        yield
    finally:
        mesh.clients.sqs.purge_queue(QueueUrl=url)


@contextmanager
def _without_consumer(mesh: Mesh) -> Generator[None]:
    """Disable the consumer of a queue that has a message."""
    functions, sqs = mesh.clients.functions, mesh.clients.sqs
    (mapping,) = functions.list_event_source_mappings(FunctionName=CONSUMER)["EventSourceMappings"]
    uuid = mapping.get("UUID", "")
    url = sqs.get_queue_url(QueueName=CONSUMER)["QueueUrl"]
    functions.update_event_source_mapping(UUID=uuid, Enabled=False)
    try:
        sqs.send_message(QueueUrl=url, MessageBody="{}")
        yield
    finally:
        sqs.purge_queue(QueueUrl=url)
        functions.update_event_source_mapping(UUID=uuid, Enabled=True)


@contextmanager
def _with_late_event(mesh: Mesh) -> Generator[None]:
    """Add an outbox item that has been due for an hour."""
    table = Names("local", "").of("entities")
    due_keys = {"due_pk": {"S": "DUE#RUNS#OUTBOX"}, "due_sk": {"S": f"{to_text(utc_now() - timedelta(hours=1))}#late"}}
    mesh.clients.dynamodb.put_item(TableName=table, Item={**LATE_OUTBOX_ITEM, **due_keys})
    try:
        yield
    finally:
        mesh.clients.dynamodb.delete_item(TableName=table, Key=LATE_OUTBOX_ITEM)


@contextmanager
def _with_older_code(mesh: Mesh) -> Generator[None]:
    """Record that the mesh was deployed from other sources than those in the checkout."""
    recorded = mesh.target.mesh.home.deployed
    original = recorded.read_text()
    recorded.write_text(json.dumps(json.loads(original) | {"fingerprint": "of an older checkout"}))
    try:
        yield
    finally:
        recorded.write_text(original)


@contextmanager
def _with_drift(mesh: Mesh) -> Generator[None]:
    """Deduct tokens from a budget that no run has used."""
    steps = Steps(mesh)
    steps.submit(steps.create_agent(), "Hello", headers={"Prefer": "wait=25"})
    store = Store(mesh.clients.dynamodb, table="ainexus-local-entities", owned=RUNS)
    budget = Key(RUNS.key("demo-org", "BUDGET", f"{utc_now():%Y-%m}"), "BUDGET")

    def add(tokens: int) -> None:
        assert store.update(budget, Expression("ADD #tokens_left :tokens", {"tokens": tokens}), when=PRESENT)

    add(-1_000)
    try:
        yield
    finally:
        add(1_000)


FAULTS: dict[str, Callable[[Mesh], Any]] = {
    "checkout": _with_older_code,
    "secrets": _without_secret,
    "functions": _with_function_that_cannot_start,
    "dead letters": _with_dead_letter,
    "queues": _without_consumer,
    "outboxes": _with_late_event,
    "drift": _with_drift,
}


def test_reports_every_fault_until_it_is_repaired(mesh: Mesh) -> None:
    with ExitStack() as faults:
        for add_fault in FAULTS.values():
            faults.enter_context(add_fault(mesh))
        assert set(_findings(mesh.environ)) == set(FAULTS)
    with suppress(ConditionNotMet):  # the assertion below shows the remaining findings
        wait_for(lambda: _findings(mesh.environ) == {}, description="the doctor reports no fault")
    assert _findings(mesh.environ) == {}


class TestClockCheck:
    @pytest.mark.parametrize(("minutes", "direction"), [(10, "10 min ahead of"), (-10, "10 min behind")])
    def test_reports_a_clock_that_is_ten_minutes_off(self, mesh: Mesh, minutes: int, direction: str) -> None:
        target = Target("local", environ=mesh.environ)
        assert target.outputs["ApiEndpoint"]
        offset = timedelta(
            minutes=minutes, seconds=30 if minutes > 0 else -30
        )  # allows for the duration of the response
        with time_machine.travel(utc_now() + offset):
            (found,) = checks.clock(target)
        assert (found.level, direction in found.message) == (Level.TROUBLE, True)
        assert [one.level for one in checks.clock(target)] == [Level.OK]


STACK = json.dumps({"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}})


@pytest.fixture
def bare_environ(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Start an empty engine and yield the environment in which commands find it."""
    environ = {**os.environ, "AINEXUS_HOME": str(tmp_path), "AINEXUS_PORT": str(free_port())}
    engine = Engine(Home.of(environ), environ)
    engine.start(int(environ["AINEXUS_PORT"]))
    yield environ
    engine.stop()


class TestPrerequisites:
    """The prerequisites of all other checks, in the order of a setup."""

    def test_reports_a_port_in_use(self, tmp_path: Path) -> None:
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            port = other.getsockname()[1]
            environ = {**os.environ, "AINEXUS_HOME": str(tmp_path), "AINEXUS_PORT": str(port)}
            assert _findings(environ) == {"engine": f"Another program listens on port {port}."}

    def test_reports_a_dead_engine(self, bare_environ: dict[str, str]) -> None:
        recorded = record.read(Home.of(bare_environ).engine_record)
        assert recorded
        os.kill(recorded.pid, signal.SIGKILL)
        assert wait_until_ended(recorded.pid, mark=recorded.started, timeout_s=10)
        assert _findings(bare_environ) == {"engine": "The engine has ended without being stopped."}

    def test_reports_an_engine_of_another_version(self, bare_environ: dict[str, str]) -> None:
        home = Home.of(bare_environ)
        recorded = record.read(home.engine_record)
        assert recorded
        replace(recorded, version="1.0.0").write(home.engine_record)
        message = f"The engine is 1.0.0, but this checkout needs {home.engine_version}."
        assert _findings(bare_environ)["engine"] == message

    def test_reports_an_incomplete_deployment(self, bare_environ: dict[str, str]) -> None:
        cloudformation = engine_clients(int(bare_environ["AINEXUS_PORT"])).cloudformation
        for part in ("Core", "Tenants"):
            cloudformation.create_stack(StackName=f"AILab{part}-local", TemplateBody=STACK)
            cloudformation.get_waiter("stack_create_complete").wait(StackName=f"AILab{part}-local")
        (found,) = _findings(bare_environ).items()
        assert found[0] == "stacks"
        assert found[1].startswith("Not deployed, or only in part: AILabEdge-local, ")
        assert "AILabCore-local" not in found[1]
