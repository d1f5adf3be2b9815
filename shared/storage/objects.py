"""Documents that are too large for an item: objects in the artifacts bucket, within their tenant's prefix."""

import gzip
import hashlib
import json
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from shared.aws.errors import code_of
from shared.document_ref import DocumentRef
from shared.errors import DependencyUnavailable
from shared.freejson import encode, loads_stored


class S3(Protocol):
    """The operations that are called for documents, as in boto3's S3 client."""

    def put_object(self, **arguments: Any) -> Any:  # noqa: ANN401 — botocore's answers have no static type
        """Call PutObject."""

    def get_object(self, **arguments: Any) -> Any:  # noqa: ANN401 — as above
        """Call GetObject."""


class WholeS3(S3, Protocol):
    """The operations that are called to download and delete documents, as in boto3's S3 client."""

    def list_object_versions(self, **arguments: Any) -> Any:  # noqa: ANN401 — as above
        """Call ListObjectVersions."""

    def delete_objects(self, **arguments: Any) -> Any:  # noqa: ANN401 — as above
        """Call DeleteObjects."""

    def generate_presigned_url(self, method: str, **arguments: Any) -> Any:  # noqa: ANN401 — as above
        """Return a presigned URL of an operation; nothing is sent."""


class DocumentMissing(DependencyUnavailable):
    """The object does not exist, and no retry will find it.

    A caller that cannot do better answers as in an outage: the request is not at fault.
    """

    def __init__(self) -> None:
        super().__init__("A stored document is missing.", retry_after_s=60)


class Documents:
    """JSON documents that are written once and never changed."""

    def __init__(self, client: S3, *, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def write(self, tenant_id: str, path: str, document: object) -> DocumentRef:
        """Store a document within the tenant's prefix. The order of its properties is kept, since models observe it.

        Raises:
            DependencyUnavailable: S3 does not respond.
        """
        body = encode(document)
        key = f"tenants/{tenant_id}/{path}"
        try:
            self._client.put_object(Bucket=self._bucket, Key=key, Body=body, ContentType="application/json")
        except (BotoCoreError, ClientError) as error:
            raise _unavailable() from error
        return DocumentRef(key, hashlib.sha256(body).hexdigest())

    def read(self, tenant_id: str, stored: DocumentRef) -> Any:  # noqa: ANN401 — any JSON
        """Return a document, if its content is the one that was stored.

        Raises:
            DocumentMissing: there is no such object.
            DependencyUnavailable: S3 does not respond, or has different content under this key.
        """
        _check_is_of(tenant_id, stored)
        try:
            body: bytes = self._client.get_object(Bucket=self._bucket, Key=stored.key)["Body"].read()
        except (BotoCoreError, ClientError) as error:
            if isinstance(error, ClientError) and code_of(error) == "NoSuchKey":
                raise DocumentMissing from error
            raise _unavailable() from error
        if hashlib.sha256(body).hexdigest() != stored.sha256:
            raise _unavailable()
        return loads_stored(body.decode(errors="replace"))


class Archives:
    """Records that were moved out of the table, as compressed JSON lines."""

    def __init__(self, client: S3, *, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def write(self, tenant_id: str, path: str, records: Iterable[object]) -> None:
        """Store records within the tenant's prefix; the same records give the same object.

        Raises:
            DependencyUnavailable: S3 does not respond.
        """
        lines = (json.dumps(record, separators=(",", ":"), ensure_ascii=False) + "\n" for record in records)
        body = gzip.compress("".join(lines).encode(), mtime=0)
        key = f"tenants/{tenant_id}/{path}"
        try:
            self._client.put_object(Bucket=self._bucket, Key=key, Body=body, ContentType="application/gzip")
        except (BotoCoreError, ClientError) as error:
            raise _unavailable() from error

    def read(self, tenant_id: str, path: str) -> Iterator[Any]:
        """Yield the records of an archive.

        Raises:
            DependencyUnavailable: S3 does not respond.
        """
        key = f"tenants/{tenant_id}/{path}"
        try:
            body: bytes = self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        except (BotoCoreError, ClientError) as error:
            raise _unavailable() from error
        yield from map(json.loads, gzip.decompress(body).splitlines())


class Artifacts(Documents):
    """Documents that can also be downloaded from outside and deleted."""

    def __init__(self, client: WholeS3, *, bucket: str) -> None:
        super().__init__(client, bucket=bucket)
        self._whole = client

    def address(self, tenant_id: str, stored: DocumentRef, *, lasts_s: int) -> str:
        """Return a presigned URL, with which any client can download the document for `lasts_s` seconds."""
        _check_is_of(tenant_id, stored)
        asked = {"Bucket": self._bucket, "Key": stored.key}
        return str(self._whole.generate_presigned_url("get_object", Params=asked, ExpiresIn=lasts_s))

    def delete_below(self, tenant_id: str, folder: str) -> int:
        """Delete all versions of all objects in a folder of the tenant, and return their number.

        Raises:
            DependencyUnavailable: S3 does not respond, or did not delete some objects.
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
        """Return some of the versions and delete markers; more may follow after these are deleted."""
        try:
            page = self._whole.list_object_versions(Bucket=self._bucket, Prefix=prefix)
        except (BotoCoreError, ClientError) as error:
            raise _unavailable() from error
        found = (*page.get("Versions", ()), *page.get("DeleteMarkers", ()))
        return [{"Key": entry["Key"], "VersionId": entry["VersionId"]} for entry in found]


def _check_is_of(tenant_id: str, stored: DocumentRef) -> None:
    if not stored.key.startswith(f"tenants/{tenant_id}/"):
        msg = f"the object {stored.key} is not of this tenant"
        raise ValueError(msg)


def _unavailable() -> DependencyUnavailable:
    return DependencyUnavailable("The document store is unavailable. Try again.", retry_after_s=1)
