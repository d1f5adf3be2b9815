"""What cannot be handled lies in the dead letters, is shown, and is counted once when it is sent again."""

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
LETTERS = f"{QUEUE}-dead-letters"


@contextmanager
def _impatient(mesh: Mesh) -> Generator[str]:
    """Metering's queue gives failed messages again after a second, and not after a minute."""
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
    """Metering's consumer cannot find its table, as after a bad deployment."""
    functions = mesh.clients.functions
    variables = functions.get_function_configuration(FunctionName=QUEUE)["Environment"]["Variables"]  # pyright: ignore[reportTypedDictNotRequiredAccess]  # every function has some
    broken = {**variables, "USAGE_TABLE_NAME": "no-such-table"}
    functions.update_function_configuration(FunctionName=QUEUE, Environment={"Variables": broken})
    try:
        yield
    finally:
        functions.update_function_configuration(FunctionName=QUEUE, Environment={"Variables": variables})


def _cli(mesh: Mesh, *arguments: str) -> Any:  # noqa: ANN401 — whatever the command answers
    done = subprocess.run(  # noqa: S603 — our own command
        [sys.executable, "-m", "cli", *arguments, "--json"],
        cwd=ROOT,
        env=mesh.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class TestPoison:
    def test_lands_in_the_dead_letters_while_the_others_are_counted(self, mesh: Mesh, steps: Steps) -> None:
        agent_id = steps.agent()
        with _impatient(mesh) as url:
            mesh.clients.sqs.send_message(QueueUrl=url, MessageBody=json.dumps({"detail": {"type": "nobody.knows.v9"}}))
            run = steps.submit(agent_id, "Hello", headers={"Prefer": "wait=25"})
            steps.assert_counted_once(agent_id, [run])
            wait_for(lambda: steps.dead_letters() == {LETTERS: 1}, what="the poison lies in the dead letters")
        shown = _cli(mesh, "dead-letters", "show", LETTERS)
        assert "nobody.knows.v9" in json.dumps(shown)
        mesh.clients.sqs.purge_queue(QueueUrl=mesh.clients.sqs.get_queue_url(QueueName=LETTERS)["QueueUrl"])


class TestRedrive:
    def test_after_the_fix_what_was_refused_is_counted_once(self, mesh: Mesh, steps: Steps) -> None:
        agent_id = steps.agent()
        with _impatient(mesh):
            with _broken_metering(mesh):
                run = steps.submit(agent_id, "Hello", headers={"Prefer": "wait=25"})
                both = {LETTERS: 2}
                wait_for(lambda: steps.dead_letters() == both, what="usage and end of the run are dead letters")
                assert steps.run(run["run_id"])["status"] == "completed"
            listed = _cli(mesh, "dead-letters", "list")
            assert LETTERS in json.dumps(listed)
            _cli(mesh, "dead-letters", "redrive", LETTERS)
            steps.assert_counted_once(agent_id, [run])
        assert steps.dead_letters() == {}
