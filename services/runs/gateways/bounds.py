"""How much a server may send before it is not believed: whoever names a `base_url` must not fill a worker's memory."""

import re
from collections.abc import Iterator

import httpx2

_ERROR_BYTES = 64 * 1024
"""Of an error's body; what comes after is not read."""
_EVENT_BYTES = 4 * 1024 * 1024
"""Of one event of a stream. The last one of a Responses stream repeats the whole answer."""
_EVENT_LINES = 1_000
"""Of one event; those of providers have three. The SDKs copy what they have of an event with each line."""
_ANSWER_BYTES = 64 * 1024 * 1024
"""Of a whole answer: some 150,000 tokens, each in an event of its own."""
_EVENT_ENDS = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_LONGEST_END = 4


class NotBelieved(httpx2.DecodingError):
    """An answer that is none, and is not read any further."""

    def __init__(self) -> None:
        super().__init__("the answer is not read any further")


def bounded(response: httpx2.Response) -> httpx2.Response:
    """The response, whose body ends when it grows too large, or is not as it was asked for.

    A compressed body was never asked for, and what it unfolds to cannot be known: an error is told without it, and an
    answer cannot be read.
    """
    inner = response.stream
    assert isinstance(inner, httpx2.SyncByteStream)  # noqa: S101 — the client is no asynchronous one
    compressed = response.headers.pop("content-encoding", "identity").strip().lower() != "identity"
    if not response.is_success:
        response.stream = _Error(inner, limit=0 if compressed else _ERROR_BYTES)
    else:
        response.stream = _Answer(inner, compressed=compressed)
    return response


class _Error(httpx2.SyncByteStream):
    """The beginning of a body."""

    def __init__(self, inner: httpx2.SyncByteStream, *, limit: int) -> None:
        self._inner = inner
        self._limit = limit

    def __iter__(self) -> Iterator[bytes]:
        left = self._limit
        if not left:
            return
        for piece in self._inner:
            yield piece[:left]
            left -= len(piece)
            if left <= 0:
                return

    def close(self) -> None:
        self._inner.close()


class _Answer(httpx2.SyncByteStream):
    """A body of events."""

    def __init__(self, inner: httpx2.SyncByteStream, *, compressed: bool) -> None:
        self._inner = inner
        self._compressed = compressed
        self._whole = 0
        self._event = 0
        self._lines = 0
        self._tail = b""
        """In which an event's end may have begun."""

    def __iter__(self) -> Iterator[bytes]:
        if self._compressed:
            raise NotBelieved
        for piece in self._inner:
            self._whole += len(piece)
            self._measure(piece)
            if self._whole > _ANSWER_BYTES:
                raise NotBelieved
            yield piece

    def close(self) -> None:
        self._inner.close()

    def _measure(self, piece: bytes) -> None:
        """Hold what is open of an event to its bounds; events that lie within one piece are short."""
        seen = self._tail + piece
        ends = [found.end() for found in _EVENT_ENDS.finditer(seen)]
        self._grow(seen[len(self._tail) : ends[0] if ends else None])
        if ends:
            self._event = self._lines = 0
            self._grow(seen[ends[-1] :])
        self._tail = seen[-(_LONGEST_END - 1) :]

    def _grow(self, part: bytes) -> None:
        self._event += len(part)
        self._lines += part.count(b"\n") + part.count(b"\r")
        if self._event > _EVENT_BYTES or self._lines > _EVENT_LINES:
            raise NotBelieved
