"""Where a service's documents of a tenant lie, and where its part of exports goes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from shared.storage.objects import WholeS3


class Objects(WholeS3, Protocol):
    """The calls that are made; boto3's S3 client has them."""

    def list_objects_v2(self, **arguments: Any) -> Any:  # noqa: ANN401 — botocore's answers have no static type
        """ListObjectsV2."""


@dataclass(frozen=True, slots=True)
class Depot:
    """The documents of one service."""

    client: Objects
    bucket: str
    folders: Sequence[str] = ()
    """Of the tenant's documents that belong to the service."""
