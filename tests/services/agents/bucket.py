"""A bucket in memory, in which a concurrent request can come first."""

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from shared.storage.objects import Documents


@dataclass
class InterleavedBucket:
    """A bucket with the calls that `Documents` makes."""

    objects: dict[str, bytes] = field(default_factory=dict[str, bytes])
    after_next_write: Callable[[], None] | None = None
    """A concurrent request between the next write and the transaction that refers to it."""

    def put_object(self, **arguments: Any) -> None:  # noqa: ANN401 — as botocore's
        self.objects[arguments["Key"]] = arguments["Body"]
        rival, self.after_next_write = self.after_next_write, None
        if rival:
            rival()

    def get_object(self, **arguments: Any) -> dict[str, Any]:  # noqa: ANN401 — as botocore's
        return {"Body": io.BytesIO(self.objects[arguments["Key"]])}

    @property
    def documents(self) -> Documents:
        """The documents in the bucket."""
        return Documents(self, bucket="artifacts")
