"""Subsegments as X-Ray's daemon receives them over UDP."""

import contextvars
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import botocore.session
import pytest
from botocore.exceptions import ClientError

from shared.tracing import call_to_aws, subsegment, traced
from tests.architecture.source import ROOT as CHECKOUT
from tests.shared.aws.server import KEYS, ScriptedResponse, start_server

ROOT, PARENT = "1-5759e988-bd862e3fe1be46a994272793", "53995c3f42cd8ad8"
GET: dict[str, Any] = {"TableName": "things", "Key": {"PK": {"S": "a"}, "SK": {"S": "b"}}}
Received = Callable[[], list[dict[str, Any]]]


@pytest.fixture(name="received")
def start_daemon(monkeypatch: pytest.MonkeyPatch) -> Iterator[Received]:
    """Start a daemon and a sampled invocation. Yield a function that returns the received subsegments in order."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as daemon:
        daemon.bind(("127.0.0.1", 0))
        daemon.settimeout(0)
        monkeypatch.setenv("AWS_XRAY_DAEMON_ADDRESS", f"127.0.0.1:{daemon.getsockname()[1]}")
        monkeypatch.setenv("_X_AMZN_TRACE_ID", f"Root={ROOT};Parent={PARENT};Sampled=1")
        monkeypatch.setenv("LAMBDA_TASK_ROOT", "/var/task")  # Elsewhere, the SDK creates clients to ask for its rules.

        def received() -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = []
            while True:
                try:
                    datagram = daemon.recv(65_536)
                except BlockingIOError:
                    return found
                header, _, document = datagram.partition(b"\n")
                assert json.loads(header) == {"format": "json", "version": 1}
                found.append(json.loads(document))

        yield received


class TestSubsegment:
    def test_belongs_to_the_invocation(self, received: Received) -> None:
        with subsegment("run", run_id="run_1"):
            pass
        (sent,) = received()
        assert (sent["type"], sent["name"], sent["trace_id"], sent["parent_id"]) == ("subsegment", "run", ROOT, PARENT)
        assert (sent["annotations"], sent["fault"]) == ({"run_id": "run_1"}, False)
        assert sent["start_time"] <= sent["end_time"]

    def test_belongs_to_the_outer_subsegment(self, received: Received) -> None:
        with subsegment("outer"), subsegment("inner"):
            pass
        inner, outer = received()
        assert inner["parent_id"] == outer["id"]
        with subsegment("next"):
            pass
        assert received()[0]["parent_id"] == PARENT

    def test_is_a_fault_without_details_after_an_error(self, received: Received) -> None:
        def fail() -> None:
            message = "hidden"
            raise ValueError(message)

        with pytest.raises(ValueError, match="hidden"), subsegment("run"):
            fail()
        (sent,) = received()
        assert sent["fault"] is True
        assert "hidden" not in json.dumps(sent)

    @pytest.mark.parametrize("header", ["", f"Root={ROOT};Parent={PARENT};Sampled=0", f"Root={ROOT};Parent={PARENT}"])
    def test_of_an_unsampled_trace_is_not_sent(
        self, received: Received, monkeypatch: pytest.MonkeyPatch, header: str
    ) -> None:
        monkeypatch.setenv("_X_AMZN_TRACE_ID", header)
        with subsegment("run"), call_to_aws("DynamoDB", "GetItem"):
            pass
        assert received() == []

    def test_is_not_sent_without_a_daemon(self, received: Received, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("AWS_XRAY_DAEMON_ADDRESS")
        with subsegment("run"):
            pass
        assert received() == []

    def test_in_a_thread_belongs_to_the_starting_subsegment(self, received: Received) -> None:
        with subsegment("outer"):
            thread = threading.Thread(target=contextvars.copy_context().run, args=(_record, "inner"))
            thread.start()
            thread.join()
        inner, outer = received()
        assert inner["parent_id"] == outer["id"]

    def test_is_sent_alone_if_it_outlives_its_parent(self, received: Received) -> None:
        with subsegment("outer"):
            context = contextvars.copy_context()
        context.run(_record, "late")
        outer, late = received()
        assert late["parent_id"] == outer["id"]
        assert "subsegments" not in outer

    def test_belongs_to_the_current_invocation_of_a_trace(
        self, received: Received, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        _record("first")
        monkeypatch.setenv("_X_AMZN_TRACE_ID", f"Root={ROOT};Parent={PARENT[::-1]};Sampled=1")
        _record("second")
        assert [sent["parent_id"] for sent in received()] == [PARENT, PARENT[::-1]]

    def test_has_no_effect_if_the_daemon_cannot_be_reached(
        self, received: Received, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_XRAY_DAEMON_ADDRESS", "127.0.0.1:0")
        _record("run")
        assert received() == []


class TestSdk:
    def test_is_imported_with_the_first_sampled_trace(self, received: Received) -> None:
        code = (
            "import os, sys; from shared.tracing import subsegment; header = os.environ.pop('_X_AMZN_TRACE_ID')\n"
            "def loaded():\n"
            "    with subsegment('run'):\n"
            "        return sorted({'aws_xray_sdk', 'botocore'} & sys.modules.keys())\n"
            "print(loaded()); os.environ['_X_AMZN_TRACE_ID'] = header; print(loaded())"
        )
        assert _run(code) == ["[]", "['aws_xray_sdk']"]
        assert [sent["name"] for sent in received()] == ["run"]

    def test_sends_to_the_current_daemon_after_a_restored_snapshot(
        self, received: Received, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_LAMBDA_INITIALIZATION_TYPE", "snap-start")
        code = (
            "import os, sys; address = os.environ.pop('AWS_XRAY_DAEMON_ADDRESS'); import shared.tracing\n"
            "print('aws_xray_sdk' in sys.modules); os.environ['AWS_XRAY_DAEMON_ADDRESS'] = address\n"
            "with shared.tracing.subsegment('run'): pass"
        )
        assert _run(code) == ["True"]
        assert [sent["name"] for sent in received()] == ["run"]


class TestCallToAws:
    def test_of_the_lean_client_equals_that_of_botocore(self, received: Received) -> None:
        with start_server(ScriptedResponse()) as server:
            server.database().get_item(**GET)
            (lean,) = received()
            session = traced(botocore.session.Session())
            session.set_credentials(KEYS.access_key, KEYS.secret_key, KEYS.token)
            client: Any = session.create_client("dynamodb", region_name="us-east-2", endpoint_url=server.url)
            client.get_item(**GET)
            client.close()
            (theirs,) = received()
        for sent in (lean, theirs):
            assert sent.pop("start_time") <= sent.pop("end_time")
            assert sent.pop("id")
        assert lean == theirs
        assert (lean["name"], lean["namespace"]) == ("DynamoDB", "aws")
        assert lean["aws"] == {"operation": "GetItem", "table_name": "things"}

    def test_that_is_refused_after_a_retry_is_one_fault(self, received: Received) -> None:
        with start_server(
            ScriptedResponse(status=503), ScriptedResponse(b'{"__type": "ValidationException"}', 400)
        ) as server:
            with pytest.raises(ClientError):
                server.database().get_item(**GET)
            assert len(server.received) == 2
        (sent,) = received()
        assert sent["fault"] is True

    def test_belongs_to_its_caller(self, received: Received) -> None:
        with start_server(ScriptedResponse()) as server, subsegment("run"):
            server.database().get_item(**GET)
        call, run = received()
        assert call["parent_id"] == run["id"]


def _record(name: str) -> None:
    with subsegment(name):
        pass


def _run(code: str) -> list[str]:
    """Run code in a new interpreter with this environment, and return the printed lines."""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=CHECKOUT, env={**os.environ}, capture_output=True, text=True, check=True)  # noqa: S603 — our own code
    return done.stdout.splitlines()
