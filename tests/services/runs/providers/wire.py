"""What providers speak on the wire: the same answer, as each of them would send it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from services.runs.domain.request import ToolCall
from services.runs.gateways.model import Stop


@dataclass(frozen=True, slots=True)
class Used:
    """What a call used: totals, and what they contain."""

    tokens_in: int = 12
    cache_read: int = 0
    cache_write: int = 0
    tokens_out: int = 5
    reasoning: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model says."""

    texts: tuple[str, ...] = ("Hello", ", ", "world")
    calls: tuple[ToolCall, ...] = ()
    stop: Stop = Stop.ANSWERED
    used: Used = field(default_factory=Used)


@dataclass(frozen=True, slots=True)
class Frames:
    """An answer on the wire; without its last part it is not whole."""

    opening: tuple[bytes, ...]
    middle: tuple[bytes, ...]
    closing: tuple[bytes, ...]

    @property
    def all(self) -> tuple[bytes, ...]:
        """The whole answer."""
        return (*self.opening, *self.middle, *self.closing)


class Wire(Protocol):
    """One wire format."""

    path: str
    content_type: str
    corrupt: bytes
    """A frame that cannot be read."""
    misshapen: bytes
    """A frame that can be read, and is not what it should be."""
    fault: bytes
    """The provider is overloaded in the middle of an answer."""

    def frames(self, answer: Answer) -> Frames:
        """The answer's frames."""
        ...

    def refusal(self, message: str) -> tuple[Mapping[str, str], bytes]:
        """Headers and body of an error status."""
        ...


def data(document: object) -> bytes:
    """A server-sent event without a name."""
    return b"data: %s\n\n" % json.dumps(document).encode()


def event(document: Mapping[str, Any]) -> bytes:
    """A server-sent event that is named by its type."""
    return b"event: %s\n%s" % (str(document["type"]).encode(), data(document))


def halves(text: str) -> Iterator[str]:
    """A text in two pieces."""
    half = len(text) // 2
    yield text[:half]
    yield text[half:]
