"""The bucket that exports are written to, however large they are."""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from shared.errors import DependencyUnavailable

_PART_BYTES = 8 * 1024 * 1024
"""At least 5 MiB. https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html"""

_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
}


class S3(Protocol):
    """The calls that are made; boto3's client has them."""

    def put_object(self, **arguments: Any) -> Any:  # noqa: ANN401 — botocore's answers have no static type
        """PutObject."""

    def create_multipart_upload(self, **arguments: Any) -> Any:  # noqa: ANN401 — as above
        """CreateMultipartUpload."""

    def upload_part(self, **arguments: Any) -> Any:  # noqa: ANN401 — as above
        """UploadPart."""

    def complete_multipart_upload(self, **arguments: Any) -> Any:  # noqa: ANN401 — as above
        """CompleteMultipartUpload."""

    def generate_presigned_url(self, method: str, **arguments: Any) -> Any:  # noqa: ANN401 — as above
        """The address of a call, signed; nothing is sent."""


class ExportBucket:
    """Files for operators."""

    def __init__(self, client: S3, *, bucket: str, owner: str) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = f"tenants/{owner}/"

    def write(self, path: str, pieces: Iterable[bytes]) -> int:
        """Store what the pieces are together, of which only one part is in memory; says how many bytes.

        Raises:
            DependencyUnavailable: the bucket does not answer. What was sent goes by the bucket's own rule.
        """
        parts = _in_parts(pieces)
        first, second = next(parts, b""), next(parts, None)
        place = {"Bucket": self._bucket, "Key": self._prefix + path}
        kind = {"ContentType": _TYPES[path.rpartition(".")[2]]}
        try:
            if second is None:
                self._client.put_object(**place, **kind, Body=first)
                return len(first)
            upload_id = self._client.create_multipart_upload(**place, **kind)["UploadId"]
            return self._write_parts({**place, "UploadId": upload_id}, chain((first, second), parts))
        except (BotoCoreError, ClientError) as error:
            msg = "The bucket does not answer now."
            raise DependencyUnavailable(msg, retry_after_s=1) from error

    def _write_parts(self, upload: dict[str, Any], parts: Iterable[bytes]) -> int:
        written, size = list[dict[str, Any]](), 0
        for number, part in enumerate(parts, start=1):
            answer = self._client.upload_part(**upload, PartNumber=number, Body=part)
            written.append({"PartNumber": number, "ETag": answer["ETag"]})
            size += len(part)
        self._client.complete_multipart_upload(**upload, MultipartUpload={"Parts": written})
        return size

    def address(self, path: str, *, lasts_s: int) -> str:
        """Where it can be downloaded by whoever has the address, for so long."""
        asked = {"Bucket": self._bucket, "Key": self._prefix + path}
        return str(self._client.generate_presigned_url("get_object", Params=asked, ExpiresIn=lasts_s))


def _in_parts(pieces: Iterable[bytes]) -> Iterator[bytes]:
    part = bytearray()
    for piece in pieces:
        part += piece
        if len(part) >= _PART_BYTES:
            yield bytes(part)
            part.clear()
    if part:
        yield bytes(part)
