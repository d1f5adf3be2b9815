"""A part of an export: JSON lines, compressed one by one, so that only the compressed text is held in memory."""

import hashlib
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from shared.export.sources import Line, Source
from shared.storage.items import Item


@dataclass(frozen=True, slots=True)
class Size:
    """The size at which a part is full."""

    rows: int = 50_000
    """A document counts as ten rows, because each needs a request of its own."""
    text_bytes: int = 64 * 1024 * 1024
    """The size of the text before compression."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """The cursor of an export: the source, and the last line of it that is written."""

    source: str
    after: Item | None
    """The key of the last written row or document. None at the beginning of the source."""


@dataclass(frozen=True, slots=True)
class Part:
    """The compressed lines of a part, and the cursor of the next one."""

    body: bytes
    lines: int
    next_cursor: Cursor | None
    """None after the last part."""

    @property
    def sha256(self) -> str:
        """The hash of the compressed text."""
        return hashlib.sha256(self.body).hexdigest()


def next_part(sources: Sequence[Source], place: Cursor | None, size: Size) -> Part:
    """Return the next part, which ends when it is full or no lines are left.

    Args:
        sources: all sources, in the same order as for the previous part.
        place: the cursor after the previous part. None for the first part.
        size: the size at which the part is full.
    """
    text = _Text()
    for here, lines, weight, goes_on in _pages(sources, place):
        text.add(lines, weight=weight * len(lines))
        is_last = goes_on is None and here is sources[-1]
        if not is_last and text.exceeds(size):
            return text.end(goes_on or Cursor(sources[sources.index(here) + 1].name, None))
    return text.end(None)


def _pages(
    sources: Sequence[Source], place: Cursor | None
) -> Iterator[tuple[Source, Sequence[Line], int, Cursor | None]]:
    names = [source.name for source in sources]
    start = names.index(place.source) if place else 0
    after = place.after if place else None
    for source in sources[start:]:
        while True:
            page = source.read(after)
            after = page.resume_after
            yield source, page.lines, source.weight, Cursor(source.name, after) if after else None
            if after is None:
                break


class _Text:
    """A compressed text to which lines are added."""

    def __init__(self) -> None:
        # A gzip stream (RFC 1952) without a timestamp, so that equal lines give equal bytes.
        self._zip = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
        self._body = bytearray()
        self._lines = self._weight = self._bytes = 0

    def add(self, lines: Sequence[Line], *, weight: int) -> None:
        for line in lines:
            self._bytes += len(line) + 1
            self._body += self._zip.compress(line + b"\n")
        self._lines += len(lines)
        self._weight += weight

    def exceeds(self, size: Size) -> bool:
        return self._weight >= size.rows or self._bytes >= size.text_bytes

    def end(self, goes_on: Cursor | None) -> Part:
        return Part(bytes(self._body + self._zip.flush()), self._lines, goes_on)
