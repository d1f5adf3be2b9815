"""The services that runs call, with the calls that are made of them, named as boto3 names them."""

import hashlib
import io
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from typing import Any
from urllib.parse import quote, urlencode

from shared.aws.client import Answer, Call, Caller, JsonService, texts_of
from shared.aws.connection import Reply
from shared.aws.signing import BODY_HASH


class DynamoDB(JsonService):
    """Items in tables."""

    def __init__(self, caller: Caller) -> None:
        super().__init__(caller, target="DynamoDB_20120810", version="1.0")

    def get_item(self, **arguments: Any) -> Answer:  # noqa: ANN401 — the service's own shapes
        """GetItem."""
        return self.ask("GetItem", arguments)

    def batch_get_item(self, **arguments: Any) -> Answer:  # noqa: ANN401 — as above
        """BatchGetItem."""
        return self.ask("BatchGetItem", arguments)

    def query(self, **arguments: Any) -> Answer:  # noqa: ANN401 — as above
        """Query."""
        return self.ask("Query", arguments)

    def update_item(self, **arguments: Any) -> Answer:  # noqa: ANN401 — as above
        """UpdateItem."""
        return self.ask("UpdateItem", arguments)

    def transact_write_items(self, **arguments: Any) -> Answer:  # noqa: ANN401 — as above
        """TransactWriteItems."""
        return self.ask("TransactWriteItems", arguments)

    def batch_write_item(self, **arguments: Any) -> Answer:  # noqa: ANN401 — as above
        """BatchWriteItem."""
        return self.ask("BatchWriteItem", arguments)


class Events(JsonService):
    """The bus."""

    def __init__(self, caller: Caller) -> None:
        super().__init__(caller, target="AWSEvents", version="1.1")

    def put_events(self, **arguments: Any) -> Answer:  # noqa: ANN401 — as above
        """PutEvents."""
        return self.ask("PutEvents", arguments)


class Functions:
    """Other functions."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def invoke(self, *, FunctionName: str, Payload: str) -> Answer:  # noqa: N803 — as boto3 names them
        """Invoke, and wait for the answer."""
        path = f"/2015-03-31/functions/{FunctionName}/invocations"
        reply = self._caller.call(Call("Invoke", path, {"content-type": "application/json"}, Payload.encode()))
        failed = reply.headers.get("x-amz-function-error")
        said: Answer = {"StatusCode": reply.status, "Payload": io.BytesIO(reply.body)}
        return said | ({"FunctionError": failed} if failed else {})


class Tokens:
    """Session keys. It speaks AWS's query protocol: a form is sent, XML comes back.

    https://smithy.io/2.0/aws/protocols/aws-query-protocol.html
    """

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def assume_role(self, *, RoleArn: str, RoleSessionName: str, Tags: list[Mapping[str, str]]) -> Answer:  # noqa: N803 — as boto3 names them
        """AssumeRole."""
        named = {f"Tags.member.{number}.{name}": tag[name] for number, tag in enumerate(Tags, 1) for name in tag}
        asked = {"RoleArn": RoleArn, "RoleSessionName": RoleSessionName, **named}
        body = urlencode({"Action": "AssumeRole", "Version": "2011-06-15", **asked}).encode()
        kind = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
        said = texts_of(self._caller.call(Call("AssumeRole", "/", kind, body)).body)
        keys = {name: said[name] for name in ("AccessKeyId", "SecretAccessKey", "SessionToken")}
        return {"Credentials": {**keys, "Expiration": datetime.fromisoformat(said["Expiration"])}}


class Partly:
    """A service of which the calls that runs make are made here; all others are botocore's.

    Args:
        rest: gives botocore's client.
    """

    def __init__(self, rest: Callable[[], Any]) -> None:
        self._rest = cache(rest)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 — botocore makes clients from data
        return getattr(self._rest(), name)


class Objects(Partly):
    """Objects in buckets, read and written whole.

    Args:
        caller_of: calls the host of a bucket.
        rest: gives botocore's client.
        by_path: the bucket is named in the path, because no host is its own.
    """

    def __init__(self, caller_of: Callable[[str], Caller], rest: Callable[[], Any], *, by_path: bool) -> None:
        super().__init__(rest)
        self._caller_of = cache(caller_of)
        self._by_path = by_path

    def get_object(self, *, Bucket: str, Key: str) -> Answer:  # noqa: N803 — as boto3 names them
        """GetObject."""
        return {"Body": io.BytesIO(self._call("GetObject", "GET", Bucket, Key).body)}

    def put_object(self, *, Bucket: str, Key: str, Body: bytes, ContentType: str) -> Answer:  # noqa: N803 — as above
        """PutObject. The signature holds the body's hash, so that nothing else can be stored."""
        reply = self._call("PutObject", "PUT", Bucket, Key, Body, {"content-type": ContentType})
        return {"ETag": reply.headers.get("etag", "")}

    def _call(
        self, operation: str, method: str, bucket: str, key: str, body: bytes = b"", headers: Mapping[str, str] = {}
    ) -> Reply:
        path = quote(f"/{bucket}/{key}" if self._by_path else f"/{key}", safe="/~")
        named = {**headers, BODY_HASH: hashlib.sha256(body).hexdigest()}
        return self._caller_of(bucket).call(Call(operation, path, named, body, method=method))


class Secrets(Partly):
    """Secrets, as they are read."""

    def __init__(self, caller: Caller, rest: Callable[[], Any]) -> None:
        super().__init__(rest)
        self._service = JsonService(caller, target="secretsmanager", version="1.1")

    def get_secret_value(self, *, SecretId: str) -> Answer:  # noqa: N803 — as boto3 names them
        """GetSecretValue."""
        return self._service.ask("GetSecretValue", {"SecretId": SecretId})
