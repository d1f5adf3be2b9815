"""Calls to AWS with the errors and the retries of botocore's standard mode."""

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
"""X-Ray's names of the services, by botocore's endpoint prefix."""
_FIRST_PAUSE_S, _FIRST_PAUSE_OF_THROTTLED_S, _LONGEST_PAUSE_S = 0.025, 1.0, 20.0

Answer = dict[str, Any]


@dataclass(frozen=True, slots=True)
class AwsRequest:
    """A call in its wire format, before it is signed."""

    operation: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    table: str = ""
    """The table that the call accesses; empty if none."""
    method: str = "POST"


class Caller:
    """A client that signs and sends calls, and retries transient errors until the invocation's time is over.

    A write whose response was lost may be sent twice, as with botocore, so writes must be idempotent.

    Args:
        connections: the connections to the service's endpoint.
        scope: the scope of the signatures.
        keys: returns the signing keys; called before each attempt.
        attempts: the maximum number of attempts per call.
        sleep: waits for a number of seconds.
        draw: returns a random number between 0 and 1.
        clock: returns the time in UTC.
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

    def call(self, call: AwsRequest) -> Reply:
        """Send a call and return its response.

        Raises:
            ClientError: AWS refused the call.
            BotoCoreError: no response was received.
        """
        about = {"table_name": call.table} if call.table else {}
        with call_to_aws(_NAMES[self._scope.service], call.operation, **about):
            return self._call(call)

    def _call(self, call: AwsRequest) -> Reply:
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

    def _send(self, call: AwsRequest) -> Reply:
        named = {**call.headers, "host": self._connections.host, **_trace()}
        signed = sign(call.method, call.path, named, call.body, keys=self._keys(), scope=self._scope, at=self._clock())
        return self._connections.send(call.method, call.path, signed, call.body)

    def _pause(self, attempt: int, first_s: float) -> None:
        self._sleep(bounded_s(self._draw() * min(first_s * 2**attempt, _LONGEST_PAUSE_S)))


class JsonService:
    """A service with AWS's JSON protocol.

    https://smithy.io/2.0/aws/protocols/aws-json-1_0-protocol.html
    """

    def __init__(self, caller: Caller, *, target: str, version: str) -> None:
        self._caller = caller
        self._target = target
        self._type = f"application/x-amz-json-{version}"

    def ask(self, operation: str, arguments: Mapping[str, Any]) -> Answer:
        """Send a call and return the response body as the service wrote it."""
        body = json.dumps(arguments, separators=(",", ":")).encode()
        headers = {"content-type": self._type, "x-amz-target": f"{self._target}.{operation}"}
        call = AwsRequest(operation, "/", headers, body, table=arguments.get("TableName", ""))
        return json.loads(self._caller.call(call).body)


def texts_of(body: bytes) -> dict[str, str]:
    """Return the texts of an XML document by element name; empty if the body is not XML."""
    try:
        root = ElementTree.fromstring(body)  # noqa: S314 — from AWS, whose certificate was checked
    except ElementTree.ParseError:
        return {}
    return {element.tag.rpartition("}")[2]: element.text or "" for element in root.iter()}


def _trace() -> dict[str, str]:
    """Return the header that passes on the trace of the Lambda runtime, as botocore does."""
    trace = os.environ.get("_X_AMZN_TRACE_ID")
    if not trace or "AWS_LAMBDA_FUNCTION_NAME" not in os.environ:
        return {}
    return {"x-amzn-trace-id": quote(trace, safe="-=;:+&[]{}\"',")}


def _is_whole(reply: Reply) -> bool:
    """Return whether the body matches its checksum, if the service sends one."""
    checksum = reply.headers.get("x-amz-crc32")
    return checksum is None or int(checksum) == zlib.crc32(reply.body)


def _error_of(reply: Reply, operation: str) -> ClientError | None:
    """Return the error in a reply as botocore raises it, with all fields of the response."""
    if reply.status < 300:
        return None
    document = _document(reply.body)
    kind = str(document.get("__type") or reply.headers.get("x-amzn-errortype") or document.get("code") or reply.status)
    response: Any = {
        **{name: value for name, value in document.items() if name not in {"__type", "code", "message"}},
        "Error": {
            # `com.amazonaws.dynamodb.v20120810#Code`, or in a header `Code:http://…`.
            "Code": kind.rpartition("#")[2].partition(":")[0],
            "Message": str(document.get("message") or document.get("Message") or ""),
        },
        "ResponseMetadata": {
            "HTTPStatusCode": reply.status,
            "RequestId": reply.headers.get("x-amzn-requestid") or reply.headers.get("x-amz-request-id", ""),
        },
    }
    return ClientError(response, operation)


def _document(body: bytes) -> Answer:
    """Return the fields of an error in JSON or XML; empty for any other body."""
    if body.startswith(b"<"):
        found = texts_of(body)
        return {"code": found["Code"], "message": found.get("Message", "")} if "Code" in found else {}
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return cast("Answer", found) if isinstance(found, dict) else {}
