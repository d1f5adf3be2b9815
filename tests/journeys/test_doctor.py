"""The doctor finds what is broken in a mesh, and nothing when all is mended."""

import json
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import Any

import pytest

from infra.local.paths import ROOT
from infra.names import Names
from shared.times import to_text, utc_now
from tests.journeys.steps import wait_for
from tests.mesh import Mesh

pytestmark = pytest.mark.mesh

QUEUE = "ainexus-local-agents-consumer"
SECRET = "ainexus-local/openai/key"
LATE = {"PK": {"S": "TENANT#doctor#RUNS#OUTBOX"}, "SK": {"S": "LATE"}}
"""Not the sort key of an event, so that the stream does not publish it."""


def _troubles(mesh: Mesh) -> dict[str, str]:
    """By check, what the doctor says is wrong."""
    command = [sys.executable, "-m", "cli", "doctor", "--json"]
    done = subprocess.run(command, cwd=ROOT, env=mesh.environ, capture_output=True, text=True, check=False)  # noqa: S603 — our own command
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


BROKEN: dict[str, Callable[[Mesh], Any]] = {
    "secrets": _without_secret,
    "functions": _with_function_that_cannot_start,
    "dead letters": _with_dead_letter,
    "queues": _without_consumer,
    "outboxes": _with_late_event,
}


def test_finds_all_that_is_broken_and_nothing_once_it_is_mended(mesh: Mesh) -> None:
    with ExitStack() as broken:
        for breaks in BROKEN.values():
            broken.enter_context(breaks(mesh))
        assert set(_troubles(mesh)) == set(BROKEN)
    wait_for(lambda: _troubles(mesh) == {}, what="a mesh without trouble")
