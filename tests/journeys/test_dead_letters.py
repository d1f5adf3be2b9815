"""Failed messages become dead letters, which can be listed, and are counted exactly once after a redrive."""

import json
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pytest

from infra.local.paths import ROOT
from tests.journeys.steps import Steps, wait_for
from tests.mesh import Mesh

pytestmark = pytest.mark.mesh

QUEUE = "ainexus-local-metering-consumer"
DEAD_LETTER_QUEUE = f"{QUEUE}-dead-letters"


@contextmanager
def _short_visibility_timeout(mesh: Mesh) -> Generator[str]:
    """Make metering's queue deliver failed messages again after a second instead of a minute."""
    sqs = mesh.clients.sqs
    url = sqs.get_queue_url(QueueName=QUEUE)["QueueUrl"]
    before = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])["Attributes"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "1"})
    try:
        yield url
    finally:
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": before["VisibilityTimeout"]})


@contextmanager
def _broken_metering(mesh: Mesh) -> Generator[None]:
    """Configure metering's consumer with a missing table, as after a bad deployment."""
    functions = mesh.clients.functions
    variables = functions.get_function_configuration(FunctionName=QUEUE)["Environment"]["Variables"]  # pyright: ignore[reportTypedDictNotRequiredAccess]  # every function has some
    broken = {**variables, "USAGE_TABLE_NAME": "no-such-table"}
    functions.update_function_configuration(FunctionName=QUEUE, Environment={"Variables": broken})
    try:
        yield
    finally:
        functions.update_function_configuration(FunctionName=QUEUE, Environment={"Variables": variables})


def _cli(mesh: Mesh, *arguments: str) -> Any:  # noqa: ANN401 — any response of the command
    completed = subprocess.run(  # noqa: S603 — our own command
        [sys.executable, "-m", "cli", *arguments, "--json"],
        cwd=ROOT,
        env=mesh.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert completed.returncode == 0, completed.stderr
    return json.loads(completed.stdout)


class TestPoisonMessage:
    def test_becomes_a_dead_letter_while_others_are_counted(self, mesh: Mesh, steps: Steps) -> None:
        agent_id = steps.create_agent()
        with _short_visibility_timeout(mesh) as url:
            mesh.clients.sqs.send_message(QueueUrl=url, MessageBody=json.dumps({"detail": {"type": "nobody.knows.v9"}}))
            run = steps.submit(agent_id, "Hello", headers={"Prefer": "wait=25"})
            steps.assert_counted_once(agent_id, [run])
            wait_for(
                lambda: steps.dead_letters() == {DEAD_LETTER_QUEUE: 1},
                description="the poison message is a dead letter",
            )
        output = _cli(mesh, "dead-letters", "show", DEAD_LETTER_QUEUE)
        assert "nobody.knows.v9" in json.dumps(output)
        mesh.clients.sqs.purge_queue(QueueUrl=mesh.clients.sqs.get_queue_url(QueueName=DEAD_LETTER_QUEUE)["QueueUrl"])


class TestRedrive:
    def test_counts_failed_messages_once_after_the_fix(self, mesh: Mesh, steps: Steps) -> None:
        agent_id = steps.create_agent()
        with _short_visibility_timeout(mesh):
            with _broken_metering(mesh):
                run = steps.submit(agent_id, "Hello", headers={"Prefer": "wait=25"})
                expected = {DEAD_LETTER_QUEUE: 2}
                wait_for(
                    lambda: steps.dead_letters() == expected, description="usage and end of the run are dead letters"
                )
                assert steps.get_run(run["run_id"])["status"] == "completed"
            listed = _cli(mesh, "dead-letters", "list")
            assert DEAD_LETTER_QUEUE in json.dumps(listed)
            _cli(mesh, "dead-letters", "redrive", DEAD_LETTER_QUEUE)
            steps.assert_counted_once(agent_id, [run])
        assert steps.dead_letters() == {}
