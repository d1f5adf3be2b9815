"""How far a service is with an export: one row, written with the word that tells of it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from shared.declaration import Slice
from shared.export.part import Part, Place
from shared.removal import EXPORTS
from shared.storage.items import Item, Key, Reader, Value
from shared.storage.store import Store
from shared.storage.transaction import Expression


@dataclass(frozen=True, slots=True)
class File:
    """A part as it lies in the bucket."""

    key: str
    sha256: str
    lines: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Progress:
    """The files that are written, and where the next one begins."""

    files: Sequence[File] = ()
    goes_on: Place | None = None
    """None: at the beginning, or nowhere when it is complete."""
    is_complete: bool = False

    @property
    def lines(self) -> int:
        """Of all files."""
        return sum(file.lines for file in self.files)

    def with_part(self, part: Part, key: str) -> "Progress":
        """After one more part, which lies under this key; an empty one is no file."""
        file = File(key, part.sha256, part.lines, len(part.body))
        files = (*self.files, file) if part.lines else self.files
        return replace(self, files=files, goes_on=part.goes_on, is_complete=part.goes_on is None)


def progress_key(owned: Slice, tenant_id: str, export_id: str) -> Key:
    """Where it lies."""
    return Key(owned.key(tenant_id, EXPORTS), export_id)


def get_progress(store: Store, tenant_id: str, export_id: str) -> Progress:
    """How far the service is."""
    item = store.get(progress_key(store.owned, tenant_id, export_id))
    return _from_item(item) if item else Progress()


def to_item(key: Key, progress: Progress) -> dict[str, Value]:
    """As it is stored."""
    place = progress.goes_on
    return {
        **key.attributes,
        "files": [_file_to_item(file) for file in progress.files],
        "turn": len(progress.files),
        # The place is a key of the table as text: it is nothing that anybody asks for.
        "goes_on": json.dumps([place.source, place.after]) if place else None,
        "complete": progress.is_complete,
    }


def follows(progress: Progress) -> Expression:
    """Whether what is there is this one."""
    if not progress.files:
        return Expression("attribute_not_exists(PK)")
    return Expression(
        "#turn = :turn AND #complete = :complete", {"turn": len(progress.files), "complete": progress.is_complete}
    )


def _file_to_item(file: File) -> dict[str, Value]:
    return {"key": file.key, "sha256": file.sha256, "lines": file.lines, "bytes": file.size_bytes}


def _from_item(item: Item) -> Progress:
    reader = Reader(item)
    place = reader.optional_text("goes_on")
    return Progress(
        files=tuple(
            File(file.text("key"), file.text("sha256"), file.integer("lines"), file.integer("bytes"))
            for file in reader.maps("files")
        ),
        goes_on=Place(*json.loads(place)) if place else None,
        is_complete=reader.flag("complete"),
    )
