"""The progress of a service's part of an export: one row, written in the transaction that publishes the event."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from shared.export.part import Cursor, Part
from shared.removal import EXPORTS
from shared.storage.codec import Codec, Conversion
from shared.storage.store import Store
from shared.storage.table import TenantTable
from shared.storage.transaction import ABSENT, Expression, Refusal, Transaction


@dataclass(frozen=True, slots=True)
class File:
    """A part that is stored in the bucket."""

    key: str
    sha256: str
    lines: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Progress:
    """The written files, and the cursor of the next one."""

    files: Sequence[File] = ()
    next_cursor: Cursor | None = None
    """None at the beginning and after the last part."""
    is_complete: bool = False

    @property
    def lines(self) -> int:
        """The number of lines in all files."""
        return sum(file.lines for file in self.files)

    def with_part(self, part: Part, key: str) -> "Progress":
        """Return the progress after one more part, which is stored under this key. An empty part has no file."""
        file = File(key, part.sha256, part.lines, len(part.body))
        files = (*self.files, file) if part.lines else self.files
        return replace(self, files=files, next_cursor=part.next_cursor, is_complete=part.next_cursor is None)


_FILE = Codec(File, names={"size_bytes": "bytes"})


def _cursor_to_text(cursor: Cursor) -> str:
    """Return a cursor as text, because the key of a row in it is never queried."""
    return json.dumps([cursor.source, cursor.after])


def _cursor_from_text(text: str) -> Cursor:
    return Cursor(*json.loads(text))


class ProgressTable(TenantTable[Progress]):
    """The progress of a tenant's exports."""

    prefix = ""
    codec = Codec(
        Progress,
        names={"next_cursor": "goes_on", "is_complete": "complete"},
        always=("is_complete",),
        conversions={File: _FILE.conversion, Cursor: Conversion(_cursor_to_text, _cursor_from_text)},
    )

    def __init__(self, store: Store, tenant_id: str) -> None:
        super().__init__(store, tenant_id, EXPORTS)

    def put(
        self, to: Transaction, export_id: str, progress: Progress, *, preceding: Progress, otherwise: Refusal
    ) -> None:
        """Write the progress of an export, if the stored one is the preceding one."""
        item = {**self.key(export_id).attributes, **self.codec.encode(progress), "turn": len(progress.files)}
        to.put(item, when=self._is(preceding), otherwise=otherwise)

    def _is(self, progress: Progress) -> Expression:
        if not progress.files:
            return ABSENT
        complete = self.equal(is_complete=progress.is_complete)
        return Expression(f"{complete.text} AND #turn = :turn", {**complete.values, "turn": len(progress.files)})
