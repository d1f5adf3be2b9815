"""Calls to AWS, with the errors and the retries of botocore's standard mode."""

import json
import os
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import quote
from xml.etree import ElementTree

from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NotConnected

from shared.aws.connection import Connections, Reply
from shared.aws.errors import is_passing, is_throttled
from shared.aws.signing import Keys, Scope, sign
from shared.deadline import bounded_s, remaining_s
from shared.randomness import RANDOM
from shared.tracing import call_to_aws

_NAMES = {
    "dynamodb": "DynamoDB",
    "events": "EventBridge",
    "lambda": "Lambda",
    "s3": "S3",
    "secretsmanager": "Secrets Manager",
    "sts": "STS",
}
"""The services as X-Ray names them, by botocore's endpoint prefix."""
_FIRST_PAUSE_S, _FIRST_PAUSE_OF_THROTTLED_S, _LONGEST_PAUSE_S = 0.025, 1.0, 20.0

Answer = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Call:
    """One call, as it is written on the wire."""

    operation: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    table: str = ""
    """Which table it is about, if it is about one."""
    method: str = "POST"


class Caller:
    """Signs calls, sends them, and tries again what may pass, until the invocation's time is over.

    A write whose answer was lost may be sent twice, as by botocore: who writes makes that harmless.

    Args:
        connections: to the service's endpoint.
        scope: of the signatures.
        keys: asked for at each try.
        attempts: how often a call is tried in all.
        sleep: waits for so many seconds.
        draw: between 0 and 1.
        clock: gives the time in UTC.
    """

    def __init__(
        self,
        connections: Connections,
        *,
        scope: Scope,
        keys: Callable[[], Keys],
        attempts: int,
        sleep: Callable[[float], None] = time.sleep,
        draw: Callable[[], float] = RANDOM.random,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._connections = connections
        self._scope = scope
        self._keys = keys
        self._attempts = attempts
        self._sleep = sleep
        self._draw = draw
        self._clock = clock

    def call(self, call: Call) -> Reply:
        """Make the call.

        Raises:
            ClientError: AWS has refused it.
            BotoCoreError: no answer came.
        """
        about = {"table_name": call.table} if call.table else {}
        with call_to_aws(_NAMES[self._scope.service], call.operation, **about):
            return self._call(call)

    def _call(self, call: Call) -> Reply:
        for attempt in range(self._attempts):
            is_last = attempt == self._attempts - 1 or remaining_s() == 0
            try:
                reply = self._send(call)
            except (NotConnected, HTTPClientError):
                if is_last:
                    raise
                self._pause(attempt, _FIRST_PAUSE_S)
                continue
            error = _error_of(reply, call.operation)
            if error is None and _is_whole(reply):
                return reply
            if error and (is_last or not is_passing(error)):
                raise error
            slowly = error is not None and is_throttled(error)
            self._pause(attempt, _FIRST_PAUSE_OF_THROTTLED_S if slowly else _FIRST_PAUSE_S)
        msg = "every answer was damaged"
        raise HTTPClientError(error=ValueError(msg))

    def _send(self, call: Call) -> Reply:
        named = {**call.headers, "host": self._connections.host, **_trace()}
        signed = sign(call.method, call.path, named, call.body, keys=self._keys(), scope=self._scope, at=self._clock())
        return self._connections.send(call.method, call.path, signed, call.body)

    def _pause(self, attempt: int, first_s: float) -> None:
        self._sleep(bounded_s(self._draw() * min(first_s * 2**attempt, _LONGEST_PAUSE_S)))


class JsonService:
    """A service that speaks AWS's JSON protocol.

    https://smithy.io/2.0/aws/protocols/aws-json-1_0-protocol.html
    """

    def __init__(self, caller: Caller, *, target: str, version: str) -> None:
        self._caller = caller
        self._target = target
        self._type = f"application/x-amz-json-{version}"

    def ask(self, operation: str, arguments: Mapping[str, Any]) -> Answer:
        """Make a call; the answer is as the service has written it."""
        body = json.dumps(arguments, separators=(",", ":")).encode()
        headers = {"content-type": self._type, "x-amz-target": f"{self._target}.{operation}"}
        call = Call(operation, "/", headers, body, table=arguments.get("TableName", ""))
        return json.loads(self._caller.call(call).body)


def texts_of(body: bytes) -> dict[str, str]:
    """The texts of an XML document by the names of their elements; nothing when it is none."""
    try:
        root = ElementTree.fromstring(body)  # noqa: S314 — from AWS, whose certificate was checked
    except ElementTree.ParseError:
        return {}
    return {element.tag.rpartition("}")[2]: element.text or "" for element in root.iter()}


def _trace() -> dict[str, str]:
    """The trace that the Lambda runtime is in, as botocore sends it on."""
    trace = os.environ.get("_X_AMZN_TRACE_ID")
    if not trace or "AWS_LAMBDA_FUNCTION_NAME" not in os.environ:
        return {}
    return {"x-amzn-trace-id": quote(trace, safe="-=;:+&[]{}\"',")}


def _is_whole(reply: Reply) -> bool:
    """Whether a body is what was sent, where the service tells its checksum."""
    checksum = reply.headers.get("x-amz-crc32")
    return checksum is None or int(checksum) == zlib.crc32(reply.body)


def _error_of(reply: Reply, operation: str) -> ClientError | None:
    """The error in the reply, as botocore raises it: with all that the service says of it."""
    if reply.status < 300:
        return None
    said = _document(reply.body)
    kind = str(said.get("__type") or reply.headers.get("x-amzn-errortype") or said.get("code") or reply.status)
    response: Any = {
        **{name: value for name, value in said.items() if name not in {"__type", "code", "message"}},
        "Error": {
            # `com.amazonaws.dynamodb.v20120810#Code`, or in a header `Code:http://…`.
            "Code": kind.rpartition("#")[2].partition(":")[0],
            "Message": str(said.get("message") or said.get("Message") or ""),
        },
        "ResponseMetadata": {
            "HTTPStatusCode": reply.status,
            "RequestId": reply.headers.get("x-amzn-requestid") or reply.headers.get("x-amz-request-id", ""),
        },
    }
    return ClientError(response, operation)


def _document(body: bytes) -> Answer:
    """What an error says, in JSON or in XML; nothing when it is neither."""
    if body.startswith(b"<"):
        found = texts_of(body)
        return {"code": found["Code"], "message": found.get("Message", "")} if "Code" in found else {}
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return cast("Answer", found) if isinstance(found, dict) else {}
