"""The lean client answers, fails and tries again as botocore does."""

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
from tests.invocations import Remaining
from tests.shared.aws.server import KEYS, Told, by_botocore, serving

GET: dict[str, Any] = {"TableName": "t", "Key": {"PK": {"S": "é"}, "SK": {"S": "b"}}}
ITEM = {"PK": {"S": "a"}, "n": {"N": "1"}, "m": {"M": {"x": {"BOOL": True}}}, "l": {"L": [{"NULL": True}]}}


def refusal(code: str, **said: Any) -> bytes:  # noqa: ANN401 — any JSON
    return json.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{code}", **said}).encode()


CONDITION = Told(refusal("ConditionalCheckFailedException", message="The conditional request failed", Item=ITEM), 400)
CANCELLED = Told(
    refusal(
        "TransactionCanceledException",
        Message="Transaction cancelled [None, ConditionalCheckFailed]",
        CancellationReasons=[{"Code": "None"}, {"Code": "ConditionalCheckFailed", "Message": "failed", "Item": ITEM}],
    ),
    400,
)
BROKEN = Told(b"<html>", 503)
THROTTLED = Told(refusal("ThrottlingException", message="slow down"), 400)


def their_error(url: str, operation: str) -> dict[str, Any]:
    """The same, of botocore."""
    with by_botocore(url) as client:
        return error_of(client, operation)


def error_of(client: Any, operation: str) -> dict[str, Any]:  # noqa: ANN401 — as above
    """What the error says, without the facts of the request."""
    with pytest.raises(ClientError) as caught:
        getattr(client, operation)(**({"TransactItems": []} if operation.startswith("transact") else GET))
    assert caught.value.response.pop("ResponseMetadata")
    return dict(caught.value.response)


class TestAnswers:
    def test_are_as_botocore_gives_them(self) -> None:
        with serving(Told(json.dumps({"Item": ITEM}).encode())) as server:
            with by_botocore(server.url) as client:
                theirs = client.get_item(**GET)
            theirs.pop("ResponseMetadata")
            assert server.database().get_item(**GET) == theirs == {"Item": ITEM}
            (_, theirs_sent, theirs_body), (path, sent, body) = server.heard
        assert path == "/"
        assert json.loads(body) == json.loads(theirs_body) == GET
        for name in ("content-type", "x-amz-target", "host", "x-amz-security-token"):
            assert sent[name] == theirs_sent[name]

    def test_come_over_one_connection(self) -> None:
        with serving(Told()) as server:
            database = server.database()
            for _ in range(5):
                database.get_item(**GET)
            assert len(server.connections) == 1

    def test_of_other_services_have_their_own_protocol(self) -> None:
        with serving(
            Told(b'{"Entries":[{}]}'), Told(b'{"a":1}', headers={"X-Amz-Function-Error": "Unhandled"})
        ) as server:
            assert Events(server.caller()).put_events(Entries=[{"Source": "x"}]) == {"Entries": [{}]}
            answer = Functions(server.caller()).invoke(FunctionName="ainexus-test", Payload='{"b": 2}')
            assert (json.loads(answer["Payload"].read()), answer["FunctionError"]) == ({"a": 1}, "Unhandled")
            (_, events, _), (path, _, body) = server.heard
        assert (events["x-amz-target"], events["content-type"]) == ("AWSEvents.PutEvents", "application/x-amz-json-1.1")
        assert (path, body) == ("/2015-03-31/functions/ainexus-test/invocations", b'{"b": 2}')

    def test_are_of_the_trace_that_the_runtime_is_in(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "ainexus-test-runs-api")
        monkeypatch.setenv("_X_AMZN_TRACE_ID", "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1")
        with serving(Told()) as server:
            server.database().get_item(**GET)
            [(_, sent, _)] = server.heard
        assert sent["x-amzn-trace-id"] == "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1"


class TestErrors:
    @pytest.mark.parametrize("told", [CONDITION, CANCELLED, Told(refusal("ValidationException", message="no"), 400)])
    def test_are_as_botocore_raises_them(self, told: Told) -> None:
        with serving(told) as server:
            ours = error_of(server.database(attempts=1), "get_item")
            theirs = their_error(server.url, "get_item")
            assert ours["Error"] == theirs["Error"]

    def test_tell_what_was_there(self) -> None:
        with serving(CONDITION) as server:
            ours = error_of(server.database(), "update_item")
            assert ours["Item"] == their_error(server.url, "update_item")["Item"] == ITEM

    def test_tell_why_a_transaction_was_cancelled(self) -> None:
        with serving(CANCELLED) as server:
            ours = error_of(server.database(), "transact_write_items")
            theirs = their_error(server.url, "transact_write_items")
            assert ours["CancellationReasons"] == theirs["CancellationReasons"]
            assert ours["CancellationReasons"][1]["Item"] == ITEM

    def test_a_failed_condition_is_not_tried_again(self) -> None:
        with serving(CONDITION) as server:
            error_of(server.database(), "update_item")
            assert len(server.heard) == 1

    def test_an_error_that_is_no_json_is_one_all_the_same(self) -> None:
        with serving(Told(b"<html>", 403)) as server:
            assert error_of(server.database(), "get_item")["Error"]["Code"] == "403"


class TestTries:
    @pytest.mark.parametrize(
        ("told", "pauses"),
        [(BROKEN, [0.025, 0.05]), (THROTTLED, [1.0, 2.0]), (Told(cut="before"), [0.025, 0.05])],
    )
    def test_what_may_pass_is_tried_three_times(self, told: Told, pauses: list[float]) -> None:
        with serving(told, told, Told(b'{"Item":{}}')) as server:
            assert server.database().get_item(**GET) == {"Item": {}}
            assert server.pauses == pauses

    @pytest.mark.parametrize(
        ("told", "error"),
        [(BROKEN, ClientError), (THROTTLED, ClientError), (Told(cut="before"), ConnectionClosedError)],
    )
    def test_what_does_not_pass_is_raised(self, told: Told, error: type[Exception]) -> None:
        with serving(told) as server:
            with pytest.raises(error):
                server.database().get_item(**GET)
            assert len(server.heard) == 3

    def test_a_damaged_answer_is_tried_again(self) -> None:
        body = b'{"Item":{}}'
        with serving(
            Told(body, headers={"x-amz-crc32": "1"}), Told(body, headers={"x-amz-crc32": str(zlib.crc32(body))})
        ) as server:
            assert server.database().get_item(**GET) == {"Item": {}}
            assert len(server.heard) == 2

    def test_a_connection_that_was_cut_while_idle_costs_no_try(self) -> None:
        with serving(Told(cut="after"), Told()) as server:
            database = server.database(attempts=1)
            database.get_item(**GET)
            _until_cut(database)
            database.get_item(**GET)
            assert len(server.connections) == 2
            assert server.pauses == []

    def test_a_slow_answer_is_not_waited_for(self) -> None:
        with serving(Told(pause_s=30)) as server, pytest.raises(ReadTimeoutError):
            Functions(server.caller(attempts=1, read_timeout_s=0.05)).invoke(FunctionName="x", Payload="{}")

    def test_nobody_there_is_said(self) -> None:
        with serving(Told()) as server:
            url = server.url
        gone = Connections(url, connect_timeout_s=1, read_timeout_s=1)
        caller = Caller(gone, scope=Scope("dynamodb", "us-east-2"), keys=lambda: KEYS, attempts=2, sleep=lambda _: None)
        with pytest.raises(EndpointConnectionError):
            DynamoDB(caller).get_item(**GET)


class TestDeadline:
    def test_in_the_past_allows_one_attempt(self) -> None:
        with serving(BROKEN) as server, invocation(Remaining(0)):
            with pytest.raises(ClientError):
                server.database().get_item(**GET)
            assert (len(server.heard), server.pauses) == (1, [])

    def test_shortens_the_pause(self) -> None:
        with serving(THROTTLED, Told(b'{"Item":{}}')) as server, invocation(Remaining(MARGIN_S + 0.5)):
            assert server.database().get_item(**GET) == {"Item": {}}
            assert [pause <= 0.5 for pause in server.pauses] == [True]

    @pytest.mark.parametrize("warm", [False, True])
    def test_ends_the_wait_for_a_slow_answer(self, *, warm: bool) -> None:
        with serving(*([Told()] if warm else []), Told(pause_s=30)) as server:
            functions = Functions(server.caller(attempts=1, read_timeout_s=60))
            if warm:
                functions.invoke(FunctionName="x", Payload="{}")
            with invocation(Remaining(0)), pytest.raises(ReadTimeoutError):
                functions.invoke(FunctionName="x", Payload="{}")


class TestThreads:
    def test_each_call_is_signed_with_the_keys_of_its_own_context(self) -> None:
        mine = threading.local()
        with serving(Told()) as server:
            database = server.database(keys=lambda: Keys(mine.name, "secret", None))

            def get(number: int) -> None:
                mine.name = f"key-{number}"
                database.get_item(TableName=mine.name, Key={})

            with ThreadPoolExecutor(8) as pool:
                list(pool.map(get, range(64)))
            assert len(server.heard) == 64
            for _, sent, body in server.heard:
                assert f"Credential={json.loads(body)['TableName']}/" in sent["authorization"]


def _until_cut(database: DynamoDB) -> None:
    """Wait until the idle connection has heard of its end."""
    connections = database._caller._connections  # pyright: ignore[reportPrivateUsage]
    [connection] = connections._idle  # pyright: ignore[reportPrivateUsage]
    connection.settimeout(5)
    assert connection.recv(1) == b""
