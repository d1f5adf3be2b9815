"""The bucket for exports of any size."""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from shared.errors import DependencyUnavailable

_PART_BYTES = 8 * 1024 * 1024
"""S3 requires at least 5 MiB. https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html"""

_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
}


class MultipartS3(Protocol):
    """The methods of boto3's client that this module uses."""

    def put_object(self, **arguments: Any) -> Any:  # noqa: ANN401 — botocore's responses have no static type
        """Call PutObject."""

    def create_multipart_upload(self, **arguments: Any) -> Any:  # noqa: ANN401 — as above
        """Call CreateMultipartUpload."""

    def upload_part(self, **arguments: Any) -> Any:  # noqa: ANN401 — as above
        """Call UploadPart."""

    def complete_multipart_upload(self, **arguments: Any) -> Any:  # noqa: ANN401 — as above
        """Call CompleteMultipartUpload."""

    def generate_presigned_url(self, method: str, **arguments: Any) -> Any:  # noqa: ANN401 — as above
        """Return the presigned URL of a call, without sending a request."""


class ExportBucket:
    """The files that operators export."""

    def __init__(self, client: MultipartS3, *, bucket: str, owner: str) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = f"tenants/{owner}/"

    def write(self, path: str, pieces: Iterable[bytes]) -> int:
        """Store the concatenated pieces, with only one part in memory, and return the number of bytes.

        Raises:
            DependencyUnavailable: the bucket does not respond. Its lifecycle rule deletes the uploaded parts.
        """
        parts = _in_parts(pieces)
        first, second = next(parts, b""), next(parts, None)
        target = {"Bucket": self._bucket, "Key": self._prefix + path}
        content = {"ContentType": _TYPES[path.rpartition(".")[2]]}
        try:
            if second is None:
                self._client.put_object(**target, **content, Body=first)
                return len(first)
            upload_id = self._client.create_multipart_upload(**target, **content)["UploadId"]
            return self._write_parts({**target, "UploadId": upload_id}, chain((first, second), parts))
        except (BotoCoreError, ClientError) as error:
            msg = "The export bucket is unavailable. Try again."
            raise DependencyUnavailable(msg, retry_after_s=1) from error

    def _write_parts(self, upload: dict[str, Any], parts: Iterable[bytes]) -> int:
        written, size = list[dict[str, Any]](), 0
        for number, part in enumerate(parts, start=1):
            response = self._client.upload_part(**upload, PartNumber=number, Body=part)
            written.append({"PartNumber": number, "ETag": response["ETag"]})
            size += len(part)
        self._client.complete_multipart_upload(**upload, MultipartUpload={"Parts": written})
        return size

    def presigned_url(self, path: str, *, valid_for_s: int) -> str:
        """Return a URL with which anyone can download the file, for this number of seconds."""
        target = {"Bucket": self._bucket, "Key": self._prefix + path}
        return str(self._client.generate_presigned_url("get_object", Params=target, ExpiresIn=valid_for_s))


def _in_parts(pieces: Iterable[bytes]) -> Iterator[bytes]:
    part = bytearray()
    for piece in pieces:
        part += piece
        if len(part) >= _PART_BYTES:
            yield bytes(part)
            part.clear()
    if part:
        yield bytes(part)
