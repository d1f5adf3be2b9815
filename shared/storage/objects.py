"""What is too large for an item: objects in the artifacts bucket, always below their tenant's prefix."""

import gzip
import hashlib
import json
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from shared.errors import DependencyUnavailable
from shared.freejson import encode, loads_stored
from shared.stored import Stored


class S3(Protocol):
    """The calls that are made; boto3's client has them."""

    def put_object(self, **arguments: Any) -> Any:  # noqa: ANN401 — botocore's answers have no static type
        """PutObject."""

    def get_object(self, **arguments: Any) -> Any:  # noqa: ANN401 — as above
        """GetObject."""


class WholeS3(S3, Protocol):
    """The calls that are made where documents are given out and removed; boto3's client has them."""

    def list_object_versions(self, **arguments: Any) -> Any:  # noqa: ANN401 — as above
        """ListObjectVersions."""

    def delete_objects(self, **arguments: Any) -> Any:  # noqa: ANN401 — as above
        """DeleteObjects."""

    def generate_presigned_url(self, method: str, **arguments: Any) -> Any:  # noqa: ANN401 — as above
        """The address of a call, signed; nothing is sent."""


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
        body = encode(document, sort_keys=True)
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
        _check_is_of(tenant_id, stored)
        try:
            body: bytes = self._client.get_object(Bucket=self._bucket, Key=stored.key)["Body"].read()
        except (BotoCoreError, ClientError) as error:
            raise _unavailable() from error
        if hashlib.sha256(body).hexdigest() != stored.sha256:
            raise _unavailable()
        return loads_stored(body.decode(errors="replace"))


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

    def read(self, tenant_id: str, path: str) -> Iterator[Any]:
        """The records that were stored there, one by one.

        Raises:
            DependencyUnavailable: the bucket does not answer.
        """
        key = f"tenants/{tenant_id}/{path}"
        try:
            body: bytes = self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        except (BotoCoreError, ClientError) as error:
            raise _unavailable() from error
        yield from map(json.loads, gzip.decompress(body).splitlines())


class Artifacts(Documents):
    """Documents that can also be downloaded from outside, and removed."""

    def __init__(self, client: WholeS3, *, bucket: str) -> None:
        super().__init__(client, bucket=bucket)
        self._whole = client

    def address(self, tenant_id: str, stored: Stored, *, lasts_s: int) -> str:
        """Where the document can be downloaded by whoever has the address, for so long."""
        _check_is_of(tenant_id, stored)
        asked = {"Bucket": self._bucket, "Key": stored.key}
        return str(self._whole.generate_presigned_url("get_object", Params=asked, ExpiresIn=lasts_s))

    def delete_below(self, tenant_id: str, folder: str) -> int:
        """Remove every object below this folder of the tenant's, with all its versions; says how many there were.

        Raises:
            DependencyUnavailable: the bucket does not answer, or keeps some.
        """
        prefix, deleted = f"tenants/{tenant_id}/{folder}/", 0
        while versions := self._list(prefix):
            objects = {"Objects": versions, "Quiet": True}
            try:
                kept = self._whole.delete_objects(Bucket=self._bucket, Delete=objects).get("Errors")
            except (BotoCoreError, ClientError) as error:
                raise _unavailable() from error
            if kept:
                raise _unavailable()
            deleted += len(versions)
        return deleted

    def _list(self, prefix: str) -> list[dict[str, str]]:
        """Some of the versions, and of the marks of deletions; when these are deleted there may be more."""
        try:
            page = self._whole.list_object_versions(Bucket=self._bucket, Prefix=prefix)
        except (BotoCoreError, ClientError) as error:
            raise _unavailable() from error
        found = (*page.get("Versions", ()), *page.get("DeleteMarkers", ()))
        return [{"Key": entry["Key"], "VersionId": entry["VersionId"]} for entry in found]


def _check_is_of(tenant_id: str, stored: Stored) -> None:
    if not stored.key.startswith(f"tenants/{tenant_id}/"):
        msg = f"the object {stored.key} is not of this tenant"
        raise ValueError(msg)


def _unavailable() -> DependencyUnavailable:
    return DependencyUnavailable("The store of documents does not answer now.", retry_after_s=1)
