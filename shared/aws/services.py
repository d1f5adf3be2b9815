"""The AWS services and operations that runs call, with boto3's names."""

import hashlib
import io
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from typing import Any
from urllib.parse import quote, urlencode

from shared.aws.client import Answer, AwsRequest, Caller, JsonService, texts_of
from shared.aws.connection import Reply
from shared.aws.signing import BODY_HASH


class DynamoDB(JsonService):
    """Items in tables."""

    def __init__(self, caller: Caller) -> None:
        super().__init__(caller, target="DynamoDB_20120810", version="1.0")

    def get_item(self, **arguments: Any) -> Answer:  # noqa: ANN401 — the service's own shapes
        """Call GetItem."""
        return self.ask("GetItem", arguments)

    def batch_get_item(self, **arguments: Any) -> Answer:  # noqa: ANN401 — as above
        """Call BatchGetItem."""
        return self.ask("BatchGetItem", arguments)

    def query(self, **arguments: Any) -> Answer:  # noqa: ANN401 — as above
        """Call Query."""
        return self.ask("Query", arguments)

    def update_item(self, **arguments: Any) -> Answer:  # noqa: ANN401 — as above
        """Call UpdateItem."""
        return self.ask("UpdateItem", arguments)

    def transact_write_items(self, **arguments: Any) -> Answer:  # noqa: ANN401 — as above
        """Call TransactWriteItems."""
        return self.ask("TransactWriteItems", arguments)

    def batch_write_item(self, **arguments: Any) -> Answer:  # noqa: ANN401 — as above
        """Call BatchWriteItem."""
        return self.ask("BatchWriteItem", arguments)


class Events(JsonService):
    """The event bus."""

    def __init__(self, caller: Caller) -> None:
        super().__init__(caller, target="AWSEvents", version="1.1")

    def put_events(self, **arguments: Any) -> Answer:  # noqa: ANN401 — as above
        """Call PutEvents."""
        return self.ask("PutEvents", arguments)


class Functions:
    """Other Lambda functions."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def invoke(self, *, FunctionName: str, Payload: str) -> Answer:  # noqa: N803 — as boto3 names them
        """Call Invoke and wait for the result of the function."""
        path = f"/2015-03-31/functions/{FunctionName}/invocations"
        reply = self._caller.call(AwsRequest("Invoke", path, {"content-type": "application/json"}, Payload.encode()))
        failed = reply.headers.get("x-amz-function-error")
        result: Answer = {"StatusCode": reply.status, "Payload": io.BytesIO(reply.body)}
        return result | ({"FunctionError": failed} if failed else {})


class Tokens:
    """Session credentials. STS has AWS's query protocol: requests are forms, responses are XML.

    https://smithy.io/2.0/aws/protocols/aws-query-protocol.html
    """

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def assume_role(self, *, RoleArn: str, RoleSessionName: str, Tags: list[Mapping[str, str]]) -> Answer:  # noqa: N803 — as boto3 names them
        """Call AssumeRole."""
        named = {f"Tags.member.{number}.{name}": tag[name] for number, tag in enumerate(Tags, 1) for name in tag}
        asked = {"RoleArn": RoleArn, "RoleSessionName": RoleSessionName, **named}
        body = urlencode({"Action": "AssumeRole", "Version": "2011-06-15", **asked}).encode()
        kind = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
        texts = texts_of(self._caller.call(AwsRequest("AssumeRole", "/", kind, body)).body)
        keys = {name: texts[name] for name in ("AccessKeyId", "SecretAccessKey", "SessionToken")}
        return {"Credentials": {**keys, "Expiration": datetime.fromisoformat(texts["Expiration"])}}


class PartialS3:
    """A service whose operations for runs are implemented here; botocore provides all others.

    Args:
        rest: returns botocore's client.
    """

    def __init__(self, rest: Callable[[], Any]) -> None:
        self._rest = cache(rest)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 — botocore makes clients from data
        return getattr(self._rest(), name)


class Objects(PartialS3):
    """Objects in buckets, read and written as a whole.

    Args:
        caller_of: returns the caller for the host of a bucket.
        rest: returns botocore's client.
        by_path: whether the path contains the bucket, because the bucket has no host of its own.
    """

    def __init__(self, caller_of: Callable[[str], Caller], rest: Callable[[], Any], *, by_path: bool) -> None:
        super().__init__(rest)
        self._caller_of = cache(caller_of)
        self._by_path = by_path

    def get_object(self, *, Bucket: str, Key: str, Range: str = "") -> Answer:  # noqa: N803 — as boto3 names them
        """Call GetObject, for the whole object or a range of its bytes."""
        headers = {"range": Range} if Range else {}
        return {"Body": io.BytesIO(self._call("GetObject", "GET", Bucket, Key, headers=headers).body)}

    def put_object(self, *, Bucket: str, Key: str, Body: bytes, ContentType: str) -> Answer:  # noqa: N803 — as above
        """Call PutObject. The signature covers the body's hash, so that no other content can be stored."""
        reply = self._call("PutObject", "PUT", Bucket, Key, Body, {"content-type": ContentType})
        return {"ETag": reply.headers.get("etag", "")}

    def _call(
        self, operation: str, method: str, bucket: str, key: str, body: bytes = b"", headers: Mapping[str, str] = {}
    ) -> Reply:
        path = quote(f"/{bucket}/{key}" if self._by_path else f"/{key}", safe="/~")
        named = {**headers, BODY_HASH: hashlib.sha256(body).hexdigest()}
        return self._caller_of(bucket).call(AwsRequest(operation, path, named, body, method=method))


class Secrets(PartialS3):
    """Secrets, read only."""

    def __init__(self, caller: Caller, rest: Callable[[], Any]) -> None:
        super().__init__(rest)
        self._service = JsonService(caller, target="secretsmanager", version="1.1")

    def get_secret_value(self, *, SecretId: str) -> Answer:  # noqa: N803 — as boto3 names them
        """Call GetSecretValue."""
        return self._service.ask("GetSecretValue", {"SecretId": SecretId})
