"""Subsegments, as X-Ray's daemon gets them over UDP."""

import json
import socket
from collections.abc import Callable, Iterator
from typing import Any

import botocore.session
import pytest
from botocore.exceptions import ClientError

from shared import tracing
from shared.tracing import call_to_aws, subsegment, traced
from tests.shared.aws.server import KEYS, Told, serving

ROOT, PARENT = "1-5759e988-bd862e3fe1be46a994272793", "53995c3f42cd8ad8"
GET: dict[str, Any] = {"TableName": "things", "Key": {"PK": {"S": "a"}, "SK": {"S": "b"}}}
Hear = Callable[[], list[dict[str, Any]]]


@pytest.fixture(name="hear")
def start_daemon(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hear]:
    """A daemon, and an invocation whose trace is kept; gives what has come by now, in order."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as daemon:
        daemon.bind(("127.0.0.1", 0))
        daemon.settimeout(0)
        monkeypatch.setenv("AWS_XRAY_DAEMON_ADDRESS", f"127.0.0.1:{daemon.getsockname()[1]}")
        monkeypatch.setenv("_X_AMZN_TRACE_ID", f"Root={ROOT};Parent={PARENT};Sampled=1")

        def hear() -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = []
            while True:
                try:
                    datagram = daemon.recv(65_536)
                except BlockingIOError:
                    return found
                header, _, document = datagram.partition(b"\n")
                assert json.loads(header) == {"format": "json", "version": 1}
                found.append(json.loads(document))

        yield hear
        tracing._daemon().close()  # pyright: ignore[reportPrivateUsage]  # it is kept for the container's life
        tracing._daemon.cache_clear()  # pyright: ignore[reportPrivateUsage]  # as above


class TestSubsegment:
    def test_is_a_part_of_the_invocation(self, hear: Hear) -> None:
        with subsegment("run", run_id="run_1"):
            pass
        (sent,) = hear()
        assert (sent["type"], sent["name"], sent["trace_id"], sent["parent_id"]) == ("subsegment", "run", ROOT, PARENT)
        assert (sent["annotations"], sent["fault"]) == ({"run_id": "run_1"}, False)
        assert sent["start_time"] <= sent["end_time"]

    def test_is_a_part_of_the_one_that_it_lies_in(self, hear: Hear) -> None:
        with subsegment("outer"), subsegment("inner"):
            pass
        inner, outer = hear()
        assert inner["parent_id"] == outer["id"]
        with subsegment("next"):
            pass
        assert hear()[0]["parent_id"] == PARENT

    def test_says_that_it_failed_and_nothing_of_how(self, hear: Hear) -> None:
        def fail() -> None:
            message = "hidden"
            raise ValueError(message)

        with pytest.raises(ValueError, match="hidden"), subsegment("run"):
            fail()
        (sent,) = hear()
        assert sent["fault"] is True
        assert "hidden" not in json.dumps(sent)

    @pytest.mark.parametrize("header", ["", f"Root={ROOT};Parent={PARENT};Sampled=0", f"Root={ROOT};Parent={PARENT}"])
    def test_of_a_trace_that_is_not_kept_is_not_sent(
        self, hear: Hear, monkeypatch: pytest.MonkeyPatch, header: str
    ) -> None:
        monkeypatch.setenv("_X_AMZN_TRACE_ID", header)
        with subsegment("run"), call_to_aws("DynamoDB", "GetItem"):
            pass
        assert hear() == []

    def test_without_a_daemon_is_nothing(self, hear: Hear, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("AWS_XRAY_DAEMON_ADDRESS")
        with subsegment("run"):
            pass
        assert hear() == []


class TestCalls:
    def test_of_the_lean_client_are_as_those_of_botocore(self, hear: Hear) -> None:
        with serving(Told()) as server:
            server.database().get_item(**GET)
            (lean,) = hear()
            session = traced(botocore.session.Session())
            session.set_credentials(KEYS.access_key, KEYS.secret_key, KEYS.token)
            client: Any = session.create_client("dynamodb", region_name="us-east-2", endpoint_url=server.url)
            client.get_item(**GET)
            client.close()
            (theirs,) = hear()
        for sent in (lean, theirs):
            assert sent.pop("start_time") <= sent.pop("end_time")
            assert sent.pop("id")
        assert lean == theirs
        assert (lean["name"], lean["namespace"]) == ("DynamoDB", "aws")
        assert lean["aws"] == {"operation": "GetItem", "table_name": "things"}

    def test_that_are_refused_are_faults_and_tries_are_one_call(self, hear: Hear) -> None:
        with serving(Told(status=503), Told(b'{"__type": "ValidationException"}', 400)) as server:
            with pytest.raises(ClientError):
                server.database().get_item(**GET)
            assert len(server.heard) == 2
        (sent,) = hear()
        assert sent["fault"] is True

    def test_are_parts_of_what_makes_them(self, hear: Hear) -> None:
        with serving(Told()) as server, subsegment("run"):
            server.database().get_item(**GET)
        call, run = hear()
        assert call["parent_id"] == run["id"]
