"""A model behind any provider: it streams text and ends with what it has counted."""

from collections.abc import Generator
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from services.runs.domain.request import ModelRequest, ToolCall
from shared.meters import Meters


@dataclass(frozen=True, slots=True)
class Text:
    """The next piece of the answer.

    Raises:
        ValueError: it is half of a character, which nobody can write down.
    """

    text: str

    def __post_init__(self) -> None:
        self.text.encode()


@dataclass(frozen=True, slots=True)
class Working:
    """Something has come that is no text: a thought, a part of a tool's arguments, a sign of life."""


@dataclass(frozen=True, slots=True)
class Counted:
    """What the provider has counted so far; the terminal event replaces it."""

    meters: Meters


class Stop(StrEnum):
    """Why the model stopped."""

    ANSWERED = "answered"
    LENGTH = "length"
    """It reached the output cap."""
    TOOL_CALLS = "tool_calls"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Ended:
    """The terminal event: the answer is whole, and this is what it took."""

    meters: Meters
    tool_calls: tuple[ToolCall, ...] = ()
    stop: Stop = Stop.ANSWERED


Part = Text | Working | Counted | Ended


class Model(Protocol):
    """One provider."""

    def stream(self, request: ModelRequest) -> Generator[Part]:
        """Send the request; the last thing that comes is `Ended`.

        Closing the generator ends the request at the provider.

        Raises:
            ProviderFailed: the provider refused, broke off or is not configured.
        """
        ...
