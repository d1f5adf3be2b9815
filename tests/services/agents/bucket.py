"""A bucket in memory, into which somebody else can come first."""

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from shared.storage.objects import Documents


@dataclass
class FakeBucket:
    """The calls that `Documents` makes."""

    objects: dict[str, bytes] = field(default_factory=dict[str, bytes])
    after_next_write: Callable[[], None] | None = None
    """What somebody else does between the next object and the transaction that names it."""

    def put_object(self, **arguments: Any) -> None:  # noqa: ANN401 — as botocore's
        self.objects[arguments["Key"]] = arguments["Body"]
        rival, self.after_next_write = self.after_next_write, None
        if rival:
            rival()

    def get_object(self, **arguments: Any) -> dict[str, Any]:  # noqa: ANN401 — as botocore's
        return {"Body": io.BytesIO(self.objects[arguments["Key"]])}

    @property
    def documents(self) -> Documents:
        """The documents in it."""
        return Documents(self, bucket="artifacts")
