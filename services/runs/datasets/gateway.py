"""The files of datasets in the artifacts bucket, within their tenant's prefix.

A version is one file of compressed JSON lines in blocks. Each block is a gzip member of its own, so that a reader
fetches only the blocks that it needs, and the file as a whole is still ordinary gzip (RFC 1952, 2.2).
"""

import gzip
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from services.runs.datasets.domain.items import BLOCK_ITEMS, Item, items_of
from shared.aws.errors import code_of
from shared.document_ref import DocumentRef
from shared.errors import DependencyUnavailable
from shared.storage.objects import Artifacts, DocumentMissing, WholeS3

_CHUNK_BYTES = 1024 * 1024
_MISSING = frozenset({"NoSuchKey", "404", "NotFound"})


class UploadS3(WholeS3, Protocol):
    """The operations that are called, as in boto3's S3 client."""

    def head_object(self, **arguments: Any) -> Any:  # noqa: ANN401 — botocore's answers have no static type
        """Call HeadObject."""

    def generate_presigned_post(self, **arguments: Any) -> Any:  # noqa: ANN401 — as above
        """Return the URL and the fields of a form upload; nothing is sent."""


@dataclass(frozen=True, slots=True)
class UploadForm:
    """A form with which any client can upload one file."""

    url: str
    fields: dict[str, str]


@dataclass(frozen=True, slots=True)
class StoredItems:
    """The compressed items of a version, before they are written."""

    content: bytes
    offsets: tuple[int, ...]


class DatasetFiles:
    """The files of datasets.

    Args:
        client: boto3's S3 client, of one tenant or of all.
        bucket: the artifacts bucket.
    """

    def __init__(self, client: UploadS3, *, bucket: str) -> None:
        self._client = client
        self._bucket = bucket
        self._artifacts = Artifacts(client, bucket=bucket)

    def upload_form(self, tenant_id: str, path: str, *, max_bytes: int, lasts_s: int) -> UploadForm:
        """Return a form that accepts one file for exactly this key, of at most `max_bytes`.

        https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html
        """
        form = self._client.generate_presigned_post(
            Bucket=self._bucket,
            Key=_key(tenant_id, path),
            Fields={"success_action_status": "201"},
            Conditions=[{"success_action_status": "201"}, ["content-length-range", 1, max_bytes]],
            ExpiresIn=lasts_s,
        )
        return UploadForm(str(form["url"]), {str(name): str(value) for name, value in form["fields"].items()})

    def size_of(self, tenant_id: str, path: str) -> int | None:
        """Return the size of an uploaded file in bytes, or None if it has not arrived."""
        try:
            found = self._client.head_object(Bucket=self._bucket, Key=_key(tenant_id, path))
        except (BotoCoreError, ClientError) as error:
            if isinstance(error, ClientError) and code_of(error) in _MISSING:
                return None
            raise _unavailable() from error
        return int(found["ContentLength"])

    def chunks(self, tenant_id: str, path: str, *, size: int) -> Iterator[bytes]:
        """Yield an uploaded file in chunks of 1 MiB, each read by a request of its own."""
        for start in range(0, size, _CHUNK_BYTES):
            yield self._read(_key(tenant_id, path), start, min(start + _CHUNK_BYTES, size))

    def write(self, tenant_id: str, path: str, stored: StoredItems) -> DocumentRef:
        """Store the items of a version. Its key contains a hash, so that no writer replaces another's file."""
        digest = hashlib.sha256(stored.content).hexdigest()
        key = _key(tenant_id, f"{path}-{digest[:16]}.jsonl.gz")
        try:
            self._client.put_object(Bucket=self._bucket, Key=key, Body=stored.content, ContentType="application/gzip")
        except (BotoCoreError, ClientError) as error:
            raise _unavailable() from error
        return DocumentRef(key, digest)

    def items(self, tenant_id: str, content: DocumentRef, *, start: int, end: int) -> Iterator[Item]:
        """Yield the items in these bytes of a version's file, which begin and end with a block.

        Raises:
            DocumentMissing: the dataset was deleted meanwhile.
        """
        if not content.key.startswith(f"tenants/{tenant_id}/"):
            msg = f"the object {content.key} is not of this tenant"
            raise ValueError(msg)
        yield from items_of(gzip.decompress(self._read(content.key, start, end)))

    def address(self, tenant_id: str, content: DocumentRef, *, lasts_s: int) -> str:
        """Return a presigned URL of a version's file, valid for `lasts_s` seconds."""
        return self._artifacts.address(tenant_id, content, lasts_s=lasts_s)

    def delete_below(self, tenant_id: str, folder: str) -> int:
        """Delete all versions of all objects in a folder of the tenant, and return their number."""
        return self._artifacts.delete_below(tenant_id, folder)

    def _read(self, key: str, start: int, end: int) -> bytes:
        try:
            found = self._client.get_object(Bucket=self._bucket, Key=key, Range=f"bytes={start}-{end - 1}")
            return bytes(found["Body"].read())
        except (BotoCoreError, ClientError) as error:
            if isinstance(error, ClientError) and code_of(error) in _MISSING:
                raise DocumentMissing from error
            raise _unavailable() from error


def compress(items: Iterable[Item]) -> StoredItems:
    """Return items in compressed blocks. Only the compressed bytes and one block are in memory."""
    content, offsets, block = bytearray(), [0], list[bytes]()
    for item in items:
        block.append(item.to_line())
        if len(block) == BLOCK_ITEMS:
            _close(content, offsets, block)
    if block:
        _close(content, offsets, block)
    return StoredItems(bytes(content), tuple(offsets))


def _close(content: bytearray, offsets: list[int], block: list[bytes]) -> None:
    content += gzip.compress(b"\n".join(block) + b"\n", mtime=0)
    offsets.append(len(content))
    block.clear()


def span_of(offsets: Sequence[int], *, first: int, count: int) -> tuple[int, int, int]:
    """Return the bytes of the blocks with these items, and the number of items before the first one in its block."""
    block = first // BLOCK_ITEMS
    last = min((first + count - 1) // BLOCK_ITEMS, len(offsets) - 2)
    return offsets[block], offsets[last + 1], first % BLOCK_ITEMS


def _key(tenant_id: str, path: str) -> str:
    return f"tenants/{tenant_id}/{path}"


def _unavailable() -> DependencyUnavailable:
    return DependencyUnavailable("The document store is unavailable. Try again.", retry_after_s=1)
