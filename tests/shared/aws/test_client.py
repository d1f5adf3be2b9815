"""The lean client's responses, errors and retries are those of botocore."""

import json
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, EndpointConnectionError, ReadTimeoutError

from shared.aws.client import Caller
from shared.aws.connection import Connections
from shared.aws.services import DynamoDB, Events, Functions
from shared.aws.signing import Keys, Scope
from shared.deadline import MARGIN_S, invocation
from tests.invocations import FakeLambdaContext
from tests.shared.aws.server import KEYS, ScriptedResponse, botocore_client, start_server

GET: dict[str, Any] = {"TableName": "t", "Key": {"PK": {"S": "é"}, "SK": {"S": "b"}}}
ITEM = {"PK": {"S": "a"}, "n": {"N": "1"}, "m": {"M": {"x": {"BOOL": True}}}, "l": {"L": [{"NULL": True}]}}


def error_body(code: str, **payload: Any) -> bytes:  # noqa: ANN401 — any JSON
    return json.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{code}", **payload}).encode()


CONDITION_FAILED = ScriptedResponse(
    error_body("ConditionalCheckFailedException", message="The conditional request failed", Item=ITEM), 400
)
CANCELLED = ScriptedResponse(
    error_body(
        "TransactionCanceledException",
        Message="Transaction cancelled [None, ConditionalCheckFailed]",
        CancellationReasons=[{"Code": "None"}, {"Code": "ConditionalCheckFailed", "Message": "failed", "Item": ITEM}],
    ),
    400,
)
UNAVAILABLE = ScriptedResponse(b"<html>", 503)
THROTTLED = ScriptedResponse(error_body("ThrottlingException", message="slow down"), 400)


def botocore_error(url: str, operation: str) -> dict[str, Any]:
    """Return the error that botocore raises."""
    with botocore_client(url) as client:
        return error_of(client, operation)


def error_of(client: Any, operation: str) -> dict[str, Any]:  # noqa: ANN401 — as above
    """Return the error that a client raises, without the metadata of the request."""
    with pytest.raises(ClientError) as caught:
        getattr(client, operation)(**({"TransactItems": []} if operation.startswith("transact") else GET))
    assert caught.value.response.pop("ResponseMetadata")
    return dict(caught.value.response)


class TestResponses:
    def test_equal_those_of_botocore(self) -> None:
        with start_server(ScriptedResponse(json.dumps({"Item": ITEM}).encode())) as server:
            with botocore_client(server.url) as client:
                theirs = client.get_item(**GET)
            theirs.pop("ResponseMetadata")
            assert server.database().get_item(**GET) == theirs == {"Item": ITEM}
            (_, theirs_sent, theirs_body), (path, sent, body) = server.received
        assert path == "/"
        assert json.loads(body) == json.loads(theirs_body) == GET
        for name in ("content-type", "x-amz-target", "host", "x-amz-security-token"):
            assert sent[name] == theirs_sent[name]

    def test_reuse_one_connection(self) -> None:
        with start_server(ScriptedResponse()) as server:
            database = server.database()
            for _ in range(5):
                database.get_item(**GET)
            assert len(server.connections) == 1

    def test_follow_the_protocol_of_each_service(self) -> None:
        with start_server(
            ScriptedResponse(b'{"Entries":[{}]}'),
            ScriptedResponse(b'{"a":1}', headers={"X-Amz-Function-Error": "Unhandled"}),
        ) as server:
            assert Events(server.caller()).put_events(Entries=[{"Source": "x"}]) == {"Entries": [{}]}
            result = Functions(server.caller()).invoke(FunctionName="ainexus-test", Payload='{"b": 2}')
            assert (json.loads(result["Payload"].read()), result["FunctionError"]) == ({"a": 1}, "Unhandled")
            (_, events, _), (path, _, body) = server.received
        assert (events["x-amz-target"], events["content-type"]) == ("AWSEvents.PutEvents", "application/x-amz-json-1.1")
        assert (path, body) == ("/2015-03-31/functions/ainexus-test/invocations", b'{"b": 2}')

    def test_to_requests_with_the_trace_header_of_the_runtime(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "ainexus-test-runs-api")
        monkeypatch.setenv("_X_AMZN_TRACE_ID", "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1")
        with start_server(ScriptedResponse()) as server:
            server.database().get_item(**GET)
            [(_, sent, _)] = server.received
        assert sent["x-amzn-trace-id"] == "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1"


class TestErrors:
    @pytest.mark.parametrize(
        "response",
        [CONDITION_FAILED, CANCELLED, ScriptedResponse(error_body("ValidationException", message="no"), 400)],
    )
    def test_equal_those_of_botocore(self, response: ScriptedResponse) -> None:
        with start_server(response) as server:
            ours = error_of(server.database(attempts=1), "get_item")
            theirs = botocore_error(server.url, "get_item")
            assert ours["Error"] == theirs["Error"]

    def test_contain_the_existing_item(self) -> None:
        with start_server(CONDITION_FAILED) as server:
            ours = error_of(server.database(), "update_item")
            assert ours["Item"] == botocore_error(server.url, "update_item")["Item"] == ITEM

    def test_contain_the_cancellation_reasons(self) -> None:
        with start_server(CANCELLED) as server:
            ours = error_of(server.database(), "transact_write_items")
            theirs = botocore_error(server.url, "transact_write_items")
            assert ours["CancellationReasons"] == theirs["CancellationReasons"]
            assert ours["CancellationReasons"][1]["Item"] == ITEM

    def test_of_a_failed_condition_are_not_retried(self) -> None:
        with start_server(CONDITION_FAILED) as server:
            error_of(server.database(), "update_item")
            assert len(server.received) == 1

    def test_without_json_have_the_status_as_code(self) -> None:
        with start_server(ScriptedResponse(b"<html>", 403)) as server:
            assert error_of(server.database(), "get_item")["Error"]["Code"] == "403"


class TestRetries:
    @pytest.mark.parametrize(
        ("response", "pauses"),
        [(UNAVAILABLE, [0.025, 0.05]), (THROTTLED, [1.0, 2.0]), (ScriptedResponse(cut="before"), [0.025, 0.05])],
    )
    def test_send_a_request_up_to_three_times(self, response: ScriptedResponse, pauses: list[float]) -> None:
        with start_server(response, response, ScriptedResponse(b'{"Item":{}}')) as server:
            assert server.database().get_item(**GET) == {"Item": {}}
            assert server.pauses == pauses

    @pytest.mark.parametrize(
        ("response", "error"),
        [(UNAVAILABLE, ClientError), (THROTTLED, ClientError), (ScriptedResponse(cut="before"), ConnectionClosedError)],
    )
    def test_raise_after_three_attempts(self, response: ScriptedResponse, error: type[Exception]) -> None:
        with start_server(response) as server:
            with pytest.raises(error):
                server.database().get_item(**GET)
            assert len(server.received) == 3

    def test_follow_a_response_with_a_wrong_checksum(self) -> None:
        body = b'{"Item":{}}'
        with start_server(
            ScriptedResponse(body, headers={"x-amz-crc32": "1"}),
            ScriptedResponse(body, headers={"x-amz-crc32": str(zlib.crc32(body))}),
        ) as server:
            assert server.database().get_item(**GET) == {"Item": {}}
            assert len(server.received) == 2

    def test_do_not_count_a_reconnect_after_an_idle_disconnect(self) -> None:
        with start_server(ScriptedResponse(cut="after"), ScriptedResponse()) as server:
            database = server.database(attempts=1)
            database.get_item(**GET)
            _until_cut(database)
            database.get_item(**GET)
            assert len(server.connections) == 2
            assert server.pauses == []

    def test_end_at_the_read_timeout(self) -> None:
        with start_server(ScriptedResponse(pause_s=30)) as server, pytest.raises(ReadTimeoutError):
            Functions(server.caller(attempts=1, read_timeout_s=0.05)).invoke(FunctionName="x", Payload="{}")

    def test_raise_if_the_endpoint_is_unreachable(self) -> None:
        with start_server(ScriptedResponse()) as server:
            url = server.url
        gone = Connections(url, connect_timeout_s=1, read_timeout_s=1)
        caller = Caller(gone, scope=Scope("dynamodb", "us-east-2"), keys=lambda: KEYS, attempts=2, sleep=lambda _: None)
        with pytest.raises(EndpointConnectionError):
            DynamoDB(caller).get_item(**GET)


class TestDeadline:
    def test_in_the_past_allows_one_attempt(self) -> None:
        with start_server(UNAVAILABLE) as server, invocation(FakeLambdaContext(0)):
            with pytest.raises(ClientError):
                server.database().get_item(**GET)
            assert (len(server.received), server.pauses) == (1, [])

    def test_shortens_the_pause(self) -> None:
        with (
            start_server(THROTTLED, ScriptedResponse(b'{"Item":{}}')) as server,
            invocation(FakeLambdaContext(MARGIN_S + 0.5)),
        ):
            assert server.database().get_item(**GET) == {"Item": {}}
            assert [pause <= 0.5 for pause in server.pauses] == [True]

    @pytest.mark.parametrize("warm", [False, True])
    def test_ends_the_wait_for_a_slow_response(self, *, warm: bool) -> None:
        with start_server(*([ScriptedResponse()] if warm else []), ScriptedResponse(pause_s=30)) as server:
            functions = Functions(server.caller(attempts=1, read_timeout_s=60))
            if warm:
                functions.invoke(FunctionName="x", Payload="{}")
            with invocation(FakeLambdaContext(0)), pytest.raises(ReadTimeoutError):
                functions.invoke(FunctionName="x", Payload="{}")


class TestThreads:
    def test_sign_each_call_with_the_keys_of_its_context(self) -> None:
        thread_local = threading.local()
        with start_server(ScriptedResponse()) as server:
            database = server.database(keys=lambda: Keys(thread_local.name, "secret", None))

            def get(number: int) -> None:
                thread_local.name = f"key-{number}"
                database.get_item(TableName=thread_local.name, Key={})

            with ThreadPoolExecutor(8) as pool:
                list(pool.map(get, range(64)))
            assert len(server.received) == 64
            for _, sent, body in server.received:
                assert f"Credential={json.loads(body)['TableName']}/" in sent["authorization"]


def _until_cut(database: DynamoDB) -> None:
    """Wait until the idle connection has received the server's close."""
    connections = database._caller._connections  # pyright: ignore[reportPrivateUsage]
    [connection] = connections._idle  # pyright: ignore[reportPrivateUsage]
    connection.settimeout(5)
    assert connection.recv(1) == b""
