"""How much a server may send before it is not believed: whoever names a `base_url` must not fill a worker's memory."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import httpx2

TOKEN_BYTES = 128
"""The longest token of the public vocabularies: 128 spaces, in OpenAI's cl100k_base and o200k_base."""
MAX_ANSWER_BYTES = 2 * 1024 * 1024
"""Text and tool calls of one answer. Ten at once fit into a worker of 512 MB; 128,000 tokens take 0.6 MB on average."""
_ANSWER_FLOOR_BYTES = 16 * 1024
"""A cap of few tokens leaves room for a refusal, and for servers that count in another way."""

_ERROR_BYTES = 64 * 1024
"""Of an error's body; what comes after is not read."""
_EVENT_LINES = 1_000
"""Of one event; those of providers have three. The SDKs copy what they have of an event with each line."""
_LARGE_EVENT_BYTES = 64 * 1024
"""An event that is larger is held back until it is complete and its values are counted."""
_EVENT_VALUES = 50_000
"""Of one event. A decoded value takes up to 200 bytes of memory."""
_EVENT_ENDS = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_LONGEST_END = 4
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"')


class NotBelieved(httpx2.DecodingError):
    """An answer that is none, and is not read any further."""

    def __init__(self) -> None:
        super().__init__("the answer is not read any further")


def answer_bytes(max_output_tokens: int) -> int:
    """Return how many bytes of text and tool calls an answer under this cap can have."""
    return min(_ANSWER_FLOOR_BYTES + max_output_tokens * TOKEN_BYTES, MAX_ANSWER_BYTES)


@dataclass(frozen=True, slots=True)
class WireLimits:
    """Of one answer as it is transferred."""

    event_bytes: int = 4 * 1024 * 1024
    """Of one event of a stream."""
    body_bytes: int = 64 * 1024 * 1024

    @classmethod
    def of(cls, max_output_tokens: int, *, request_bytes: int) -> "WireLimits":
        """Return the limits of an answer under this cap.

        Each token may come in an event of its own, of 350 bytes in OpenAI's format. The last event of a Responses
        stream repeats the whole answer, and three of them repeat the request; JSON may double the bytes of both.
        """
        whole, most = 2 * (answer_bytes(max_output_tokens) + request_bytes), cls()
        return cls(
            event_bytes=min(256 * 1024 + whole, most.event_bytes),
            body_bytes=min(1024 * 1024 + max_output_tokens * 1024 + 3 * whole, most.body_bytes),
        )


def bounded(response: httpx2.Response, limits: WireLimits = WireLimits()) -> httpx2.Response:
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
        response.stream = _Answer(inner, limits, compressed=compressed)
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

    def __init__(self, inner: httpx2.SyncByteStream, limits: WireLimits, *, compressed: bool) -> None:
        self._inner = inner
        self._limits = limits
        self._compressed = compressed
        self._whole = 0
        self._event = 0
        self._lines = 0
        self._tail = b""
        """In which an event's end may have begun."""

    def __iter__(self) -> Iterator[bytes]:
        if self._compressed:
            raise NotBelieved
        held: list[bytes] = []
        for piece in self._inner:
            self._whole += len(piece)
            self._measure(piece)
            if self._whole > self._limits.body_bytes:
                raise NotBelieved
            held.append(piece)
            if self._event <= _LARGE_EVENT_BYTES:
                yield _of_few_values(held)
                held.clear()
        yield _of_few_values(held)

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
        if self._event > self._limits.event_bytes or self._lines > _EVENT_LINES:
            raise NotBelieved


def _of_few_values(pieces: Sequence[bytes]) -> bytes:
    """Return the pieces as one; large ones are decoded by the SDK only when they have few values."""
    if len(pieces) == 1:
        return pieces[0]
    whole = b"".join(pieces)
    if _separators(whole) > _EVENT_VALUES and _separators(_STRING.sub(b"", whole)) > _EVENT_VALUES:
        raise NotBelieved
    return whole


def _separators(json: bytes) -> int:
    return json.count(b",") + json.count(b"{") + json.count(b"[")
