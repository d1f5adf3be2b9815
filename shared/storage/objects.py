"""What is too large for an item: objects in the artifacts bucket, always below their tenant's prefix."""

import gzip
import hashlib
import json
from collections.abc import Iterable
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from shared.errors import DependencyUnavailable
from shared.stored import Stored


class S3(Protocol):
    """The calls that are made; boto3's client has them."""

    def put_object(self, **arguments: Any) -> Any:  # noqa: ANN401 — botocore's answers have no static type
        """PutObject."""

    def get_object(self, **arguments: Any) -> Any:  # noqa: ANN401 — as above
        """GetObject."""


class Documents:
    """JSON documents that are written once and never changed."""

    def __init__(self, client: S3, *, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def write(self, tenant_id: str, path: str, document: object) -> Stored:
        """Store the document below the tenant's prefix.

        Raises:
            DependencyUnavailable: the bucket does not answer.
        """
        body = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        key = f"tenants/{tenant_id}/{path}"
        try:
            self._client.put_object(Bucket=self._bucket, Key=key, Body=body, ContentType="application/json")
        except (BotoCoreError, ClientError) as error:
            raise _unavailable() from error
        return Stored(key, hashlib.sha256(body).hexdigest())

    def read(self, tenant_id: str, stored: Stored) -> Any:  # noqa: ANN401 — a document is whatever was written
        """The document, if it is the one that was stored.

        Raises:
            DependencyUnavailable: the bucket does not answer, or has something else under this key.
        """
        if not stored.key.startswith(f"tenants/{tenant_id}/"):
            msg = f"the object {stored.key} is not of this tenant"
            raise ValueError(msg)
        try:
            body: bytes = self._client.get_object(Bucket=self._bucket, Key=stored.key)["Body"].read()
        except (BotoCoreError, ClientError) as error:
            raise _unavailable() from error
        if hashlib.sha256(body).hexdigest() != stored.sha256:
            raise _unavailable()
        return json.loads(body)


class Archives:
    """Records that leave the table: JSON lines, compressed."""

    def __init__(self, client: S3, *, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def write(self, tenant_id: str, path: str, records: Iterable[object]) -> None:
        """Store the records below the tenant's prefix; the same ones make the same object.

        Raises:
            DependencyUnavailable: the bucket does not answer.
        """
        lines = (json.dumps(record, separators=(",", ":"), ensure_ascii=False) + "\n" for record in records)
        body = gzip.compress("".join(lines).encode(), mtime=0)
        key = f"tenants/{tenant_id}/{path}"
        try:
            self._client.put_object(Bucket=self._bucket, Key=key, Body=body, ContentType="application/gzip")
        except (BotoCoreError, ClientError) as error:
            raise _unavailable() from error


def _unavailable() -> DependencyUnavailable:
    return DependencyUnavailable("A stored document cannot be read now.", retry_after_s=1)
