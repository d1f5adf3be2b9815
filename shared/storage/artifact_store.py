"""Access to a service's documents of a tenant, and to its part of exports."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from shared.storage.objects import WholeS3


class ListingS3(WholeS3, Protocol):
    """The operations that are called, as in boto3's S3 client."""

    def list_objects_v2(self, **arguments: Any) -> Any:  # noqa: ANN401 — botocore's answers have no static type
        """Call ListObjectsV2."""


@dataclass(frozen=True, slots=True)
class ArtifactStore:
    """The documents of one service."""

    client: ListingS3
    bucket: str
    folders: Sequence[str] = ()
    """The folders of the service's documents, within the tenant's prefix."""
