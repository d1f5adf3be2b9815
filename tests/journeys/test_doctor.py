"""The doctor finds what is broken in a mesh, and nothing when all is mended."""

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
from services.runs.table import SLICE as RUNS
from shared.storage.items import Key
from shared.storage.store import Store
from shared.storage.transaction import PRESENT, Expression
from shared.times import to_text, utc_now
from tests.journeys.steps import NeverHappened, Steps, wait_for
from tests.mesh import Mesh

pytestmark = pytest.mark.mesh

QUEUE = "ainexus-local-agents-consumer"
SECRET = "ainexus-local/openai/key"
LATE = {"PK": {"S": "TENANT#doctor#RUNS#OUTBOX"}, "SK": {"S": "LATE"}}
"""Not the sort key of an event, so that the stream does not publish it."""


def _troubles(environ: Mapping[str, str]) -> dict[str, str]:
    """By check, what the doctor says is wrong."""
    command = [sys.executable, "-m", "cli", "doctor", "--json"]
    done = subprocess.run(command, cwd=ROOT, env=dict(environ), capture_output=True, text=True, check=False)  # noqa: S603 — our own command
    findings: list[dict[str, Any]] = json.loads(done.stdout)["findings"]
    found = {one["check"]: one["says"] for one in findings if one["level"] == "trouble"}
    assert done.returncode == int(bool(found)), done.stderr
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
    """Its code is not where it should be."""
    functions = mesh.clients.functions
    said: dict[str, Any] = dict(functions.get_function_configuration(FunctionName=QUEUE))
    functions.update_function_configuration(FunctionName=QUEUE, Handler="services.agents.gone.consumer")
    try:
        yield
    finally:
        functions.update_function_configuration(FunctionName=QUEUE, Handler=said["Handler"])


@contextmanager
def _with_dead_letter(mesh: Mesh) -> Generator[None]:
    url = mesh.clients.sqs.get_queue_url(QueueName=f"{QUEUE}-dead-letters")["QueueUrl"]
    mesh.clients.sqs.send_message(QueueUrl=url, MessageBody="{}")
    try:
        yield
    finally:
        mesh.clients.sqs.purge_queue(QueueUrl=url)


@contextmanager
def _without_consumer(mesh: Mesh) -> Generator[None]:
    """Nobody takes what lies in the queue."""
    functions, sqs = mesh.clients.functions, mesh.clients.sqs
    (mapping,) = functions.list_event_source_mappings(FunctionName=QUEUE)["EventSourceMappings"]
    uuid = mapping.get("UUID", "")
    url = sqs.get_queue_url(QueueName=QUEUE)["QueueUrl"]
    functions.update_event_source_mapping(UUID=uuid, Enabled=False)
    try:
        sqs.send_message(QueueUrl=url, MessageBody="{}")
        yield
    finally:
        sqs.purge_queue(QueueUrl=url)
        functions.update_event_source_mapping(UUID=uuid, Enabled=True)


@contextmanager
def _with_late_event(mesh: Mesh) -> Generator[None]:
    """What looks like an event that was to be published an hour ago."""
    table = Names("local", "").of("entities")
    waits = {"due_pk": {"S": "DUE#RUNS#OUTBOX"}, "due_sk": {"S": f"{to_text(utc_now() - timedelta(hours=1))}#late"}}
    mesh.clients.dynamodb.put_item(TableName=table, Item={**LATE, **waits})
    try:
        yield
    finally:
        mesh.clients.dynamodb.delete_item(TableName=table, Key=LATE)


@contextmanager
def _with_older_code(mesh: Mesh) -> Generator[None]:
    """What is noted was deployed from other sources than those that lie here now."""
    noted = mesh.target.mesh.home.deployed
    said = noted.read_text()
    noted.write_text(json.dumps(json.loads(said) | {"fingerprint": "of an older checkout"}))
    try:
        yield
    finally:
        noted.write_text(said)


@contextmanager
def _with_drift(mesh: Mesh) -> Generator[None]:
    """A budget lacks what nobody has used."""
    steps = Steps(mesh)
    steps.submit(steps.agent(), "Hello", headers={"Prefer": "wait=25"})
    books = Store(mesh.clients.dynamodb, table="ainexus-local-entities", owned=RUNS)
    budget = Key(RUNS.key("demo-org", "BUDGET", f"{utc_now():%Y-%m}"), "BUDGET")

    def add(tokens: int) -> None:
        assert books.update(budget, Expression("ADD #tokens_left :tokens", {"tokens": tokens}), when=PRESENT)

    add(-1_000)
    try:
        yield
    finally:
        add(1_000)


BROKEN: dict[str, Callable[[Mesh], Any]] = {
    "checkout": _with_older_code,
    "secrets": _without_secret,
    "functions": _with_function_that_cannot_start,
    "dead letters": _with_dead_letter,
    "queues": _without_consumer,
    "outboxes": _with_late_event,
    "drift": _with_drift,
}


def test_finds_all_that_is_broken_and_nothing_once_it_is_mended(mesh: Mesh) -> None:
    with ExitStack() as broken:
        for breaks in BROKEN.values():
            broken.enter_context(breaks(mesh))
        assert set(_troubles(mesh.environ)) == set(BROKEN)
    with suppress(NeverHappened):  # what is still wrong is said below
        wait_for(lambda: _troubles(mesh.environ) == {}, what="a mesh without trouble")
    assert _troubles(mesh.environ) == {}


class TestClock:
    @pytest.mark.parametrize(("minutes", "way"), [(10, "10 min ahead of"), (-10, "10 min behind")])
    def test_that_is_ten_minutes_off_is_found(self, mesh: Mesh, minutes: int, way: str) -> None:
        target = Target("local", environ=mesh.environ)
        assert target.outputs["ApiEndpoint"]
        off = timedelta(minutes=minutes, seconds=30 if minutes > 0 else -30)  # the answer takes its time
        with time_machine.travel(utc_now() + off):
            (found,) = checks.clock(target)
        assert (found.level, way in found.message) == (Level.TROUBLE, True)
        assert [one.level for one in checks.clock(target)] == [Level.OK]


STACK = json.dumps({"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}})


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[dict[str, str]]:
    """An engine with nothing on it, and the environment in which commands find it."""
    environ = {**os.environ, "AINEXUS_HOME": str(tmp_path), "AINEXUS_PORT": str(free_port())}
    engine = Engine(Home.of(environ), environ)
    engine.start(int(environ["AINEXUS_PORT"]))
    yield environ
    engine.stop()


class TestGround:
    """What else cannot be looked at without; in the order in which it is usually met."""

    def test_port_that_is_taken_is_found(self, tmp_path: Path) -> None:
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            port = other.getsockname()[1]
            environ = {**os.environ, "AINEXUS_HOME": str(tmp_path), "AINEXUS_PORT": str(port)}
            assert _troubles(environ) == {"engine": f"Another program listens on port {port}."}

    def test_engine_that_is_dead_is_found(self, bare: dict[str, str]) -> None:
        noted = record.read(Home.of(bare).engine_record)
        assert noted
        os.kill(noted.pid, signal.SIGKILL)
        assert wait_until_ended(noted.pid, mark=noted.started, patience_s=10)
        assert _troubles(bare) == {"engine": "The engine has ended without being stopped."}

    def test_engine_of_another_version_is_found(self, bare: dict[str, str]) -> None:
        home = Home.of(bare)
        noted = record.read(home.engine_record)
        assert noted
        replace(noted, version="1.0.0").write(home.engine_record)
        said = f"The engine is 1.0.0, but this checkout needs {home.engine_version}."
        assert _troubles(bare)["engine"] == said

    def test_half_a_deployment_is_found(self, bare: dict[str, str]) -> None:
        cloudformation = engine_clients(int(bare["AINEXUS_PORT"])).cloudformation
        for part in ("Core", "Tenants"):
            cloudformation.create_stack(StackName=f"AILab{part}-local", TemplateBody=STACK)
            cloudformation.get_waiter("stack_create_complete").wait(StackName=f"AILab{part}-local")
        (found,) = _troubles(bare).items()
        assert found[0] == "stacks"
        assert found[1].startswith("Not deployed, or only in part: AILabEdge-local, ")
        assert "AILabCore-local" not in found[1]
