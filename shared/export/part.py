"""A part of an export: JSON lines, compressed as they come, so that no more than its compressed text is in memory."""

import hashlib
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from shared.export.sources import Line, Source
from shared.freejson import encode
from shared.storage.items import Item


@dataclass(frozen=True, slots=True)
class Size:
    """When a part is full."""

    rows: int = 50_000
    """A document counts as ten: each is read by a call of its own."""
    text_bytes: int = 64 * 1024 * 1024
    """Before it is compressed."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an export goes on: behind this in this source."""

    source: str
    after: Item | None
    """None: at the beginning."""


@dataclass(frozen=True, slots=True)
class Part:
    """Some lines, and what comes behind them."""

    body: bytes
    lines: int
    goes_on: Place | None
    """None: this was the last."""

    @property
    def sha256(self) -> str:
        """Of the compressed text."""
        return hashlib.sha256(self.body).hexdigest()


def next_part(sources: Sequence[Source], place: Place | None, size: Size) -> Part:
    """The lines from a place on, until the part is full or nothing is left.

    Args:
        sources: all of them, in the order in which they were for the part before.
        place: where the part before ended; None: there was none.
        size: when it is full.
    """
    text = _Text()
    for here, lines, weight, goes_on in _pages(sources, place):
        text.add(lines, weight=weight * len(lines))
        is_last = goes_on is None and here is sources[-1]
        if not is_last and text.exceeds(size):
            return text.end(goes_on or Place(sources[sources.index(here) + 1].name, None))
    return text.end(None)


def _pages(
    sources: Sequence[Source], place: Place | None
) -> Iterator[tuple[Source, Sequence[Line], int, Place | None]]:
    names = [source.name for source in sources]
    start = names.index(place.source) if place else 0
    after = place.after if place else None
    for source in sources[start:]:
        while True:
            page = source.read(after)
            after = page.resume_after
            yield source, page.lines, source.weight, Place(source.name, after) if after else None
            if after is None:
                break


class _Text:
    """What is compressed so far."""

    def __init__(self) -> None:
        # A stream of gzip (RFC 1952) without a time, so that the same lines are the same bytes.
        self._zip = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
        self._body = bytearray()
        self._lines = self._weight = self._bytes = 0

    def add(self, lines: Sequence[Line], *, weight: int) -> None:
        for line in lines:
            text = encode(line) + b"\n"
            self._bytes += len(text)
            self._body += self._zip.compress(text)
        self._lines += len(lines)
        self._weight += weight

    def exceeds(self, size: Size) -> bool:
        return self._weight >= size.rows or self._bytes >= size.text_bytes

    def end(self, goes_on: Place | None) -> Part:
        return Part(bytes(self._body + self._zip.flush()), self._lines, goes_on)
