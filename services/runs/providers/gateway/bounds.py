"""Bounds of the bytes that a server may send, so that a tenant's `base_url` cannot exhaust a worker's memory."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import httpx2

TOKEN_BYTES = 128
"""The longest token of the public vocabularies, in bytes: 128 spaces, in OpenAI's cl100k_base and o200k_base."""
MAX_RESPONSE_BYTES = 2 * 1024 * 1024
"""The maximum size of text and tool calls of one answer. Ten at once fit into a worker of 512 MB; 128,000 tokens take
0.6 MB on average."""
_MIN_RESPONSE_BYTES = 16 * 1024
"""The minimum bound, which leaves space for a refusal under a low cap, and for servers with other tokens."""

_ERROR_BYTES = 64 * 1024
"""The part of an error's body that is read."""
_EVENT_LINES = 1_000
"""The maximum number of lines in one event; providers send three. The SDKs copy their buffer of an event with each
line."""
_LARGE_EVENT_BYTES = 64 * 1024
"""A larger event is buffered until it is complete and its values are counted."""
_EVENT_VALUES = 50_000
"""The maximum number of values in one event. A decoded value takes up to 200 bytes of memory."""
_EVENT_ENDS = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_MAX_END_BYTES = 4
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"')


class ImplausibleResponse(httpx2.DecodingError):
    """The answer exceeds its bounds or is compressed, and is not read any further."""

    def __init__(self) -> None:
        super().__init__("the answer is not read any further")


def max_response_bytes(max_output_tokens: int) -> int:
    """Return the maximum size of text and tool calls in an answer under this cap."""
    return min(_MIN_RESPONSE_BYTES + max_output_tokens * TOKEN_BYTES, MAX_RESPONSE_BYTES)


@dataclass(frozen=True, slots=True)
class WireLimits:
    """The limits of one answer in transfer."""

    event_bytes: int = 4 * 1024 * 1024
    """The limit of one event of a stream."""
    body_bytes: int = 64 * 1024 * 1024

    @classmethod
    def of(cls, max_output_tokens: int, *, request_bytes: int) -> "WireLimits":
        """Return the limits of an answer under this cap.

        Each token may arrive in an event of its own, of 350 bytes in OpenAI's format. The last event of a Responses
        stream repeats the whole answer, and three of its events repeat the request; JSON may double the bytes of both.
        """
        payload_bytes, maximum = 2 * (max_response_bytes(max_output_tokens) + request_bytes), cls()
        return cls(
            event_bytes=min(256 * 1024 + payload_bytes, maximum.event_bytes),
            body_bytes=min(1024 * 1024 + max_output_tokens * 1024 + 3 * payload_bytes, maximum.body_bytes),
        )


def bounded(response: httpx2.Response, limits: WireLimits = WireLimits()) -> httpx2.Response:
    """Return the response with a body that ends at the limits.

    A compressed body was not requested, and its decompressed size is unknown: the body of an error is dropped, and an
    answer fails.
    """
    inner = response.stream
    assert isinstance(inner, httpx2.SyncByteStream)  # noqa: S101 — the client is no asynchronous one
    compressed = response.headers.pop("content-encoding", "identity").strip().lower() != "identity"
    if not response.is_success:
        response.stream = _ErrorStream(inner, limit=0 if compressed else _ERROR_BYTES)
    else:
        response.stream = _ResponseStream(inner, limits, compressed=compressed)
    return response


class _ErrorStream(httpx2.SyncByteStream):
    """The beginning of an error's body."""

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


class _ResponseStream(httpx2.SyncByteStream):
    """A body of events."""

    def __init__(self, inner: httpx2.SyncByteStream, limits: WireLimits, *, compressed: bool) -> None:
        self._inner = inner
        self._limits = limits
        self._compressed = compressed
        self._read_bytes = 0
        self._event = 0
        self._lines = 0
        self._tail = b""
        """The last bytes, in which the end of an event may have begun."""

    def __iter__(self) -> Iterator[bytes]:
        if self._compressed:
            raise ImplausibleResponse
        pieces: list[bytes] = []
        for piece in self._inner:
            self._read_bytes += len(piece)
            self._measure(piece)
            if self._read_bytes > self._limits.body_bytes:
                raise ImplausibleResponse
            pieces.append(piece)
            if self._event <= _LARGE_EVENT_BYTES:
                yield _of_few_values(pieces)
                pieces.clear()
        yield _of_few_values(pieces)

    def close(self) -> None:
        self._inner.close()

    def _measure(self, piece: bytes) -> None:
        """Check the bounds of the open event; events that are completely within one piece are short."""
        seen = self._tail + piece
        ends = [match.end() for match in _EVENT_ENDS.finditer(seen)]
        self._grow(seen[len(self._tail) : ends[0] if ends else None])
        if ends:
            self._event = self._lines = 0
            self._grow(seen[ends[-1] :])
        self._tail = seen[-(_MAX_END_BYTES - 1) :]

    def _grow(self, part: bytes) -> None:
        self._event += len(part)
        self._lines += part.count(b"\n") + part.count(b"\r")
        if self._event > self._limits.event_bytes or self._lines > _EVENT_LINES:
            raise ImplausibleResponse


def _of_few_values(pieces: Sequence[bytes]) -> bytes:
    """Return the pieces as one. Large events reach the SDK's decoder only if they have few values."""
    if len(pieces) == 1:
        return pieces[0]
    payload_bytes = b"".join(pieces)
    if _separators(payload_bytes) > _EVENT_VALUES and _separators(_STRING.sub(b"", payload_bytes)) > _EVENT_VALUES:
        raise ImplausibleResponse
    return payload_bytes


def _separators(json: bytes) -> int:
    return json.count(b",") + json.count(b"{") + json.count(b"[")
