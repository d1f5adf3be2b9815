"""The wire formats of the providers: one response in the format of each."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from services.runs.providers.domain.model import StopReason
from services.runs.runs.domain.conversation import ToolCall


@dataclass(frozen=True, slots=True)
class Used:
    """The usage of a call: totals and their parts."""

    tokens_in: int = 12
    cache_read: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0
    """The part of `cache_write` that is kept for one hour."""
    tokens_out: int = 5
    reasoning: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """The response of the model."""

    texts: tuple[str, ...] = ("Hello", ", ", "world")
    calls: tuple[ToolCall, ...] = ()
    stop: StopReason = StopReason.ANSWERED
    used: Used = field(default_factory=Used)


@dataclass(frozen=True, slots=True)
class Frames:
    """A response on the wire. Without its last part it is incomplete."""

    opening: tuple[bytes, ...]
    middle: tuple[bytes, ...]
    closing: tuple[bytes, ...]

    @property
    def all(self) -> tuple[bytes, ...]:
        """All frames of the response."""
        return (*self.opening, *self.middle, *self.closing)


class Wire(Protocol):
    """One wire format."""

    path: str
    content_type: str
    corrupt: bytes
    """A frame that cannot be decoded."""
    misshapen: bytes
    """A frame that can be decoded but has an invalid content."""
    fault: bytes
    """The error of a provider that is overloaded during a response."""

    def frames(self, answer: Answer) -> Frames:
        """Return the frames of a response."""
        ...

    def refusal(self, message: str) -> tuple[Mapping[str, str], bytes]:
        """Return the headers and body of an error status."""
        ...


def data(document: object) -> bytes:
    """Return a server-sent event without a name."""
    return b"data: %s\n\n" % json.dumps(document).encode()


def event(document: Mapping[str, Any]) -> bytes:
    """Return a server-sent event named by its type."""
    return b"event: %s\n%s" % (str(document["type"]).encode(), data(document))


def halves(text: str) -> Iterator[str]:
    """Split a text into two pieces, perhaps within a surrogate pair, as servers do that count in UTF-16."""
    units = text.encode("utf-16-le")
    half = len(units) // 4 * 2
    for part in (units[:half], units[half:]):
        yield part.decode("utf-16-le", "surrogatepass")
