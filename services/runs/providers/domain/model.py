"""The interface of a model, independent of its provider: it streams text and ends with its usage."""

from collections.abc import Generator
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from services.runs.providers.domain.request import ModelRequest
from services.runs.runs.domain.conversation import ProviderState, ToolCall
from shared.meters import Meters
from shared.models.capabilities import Parameter


@dataclass(frozen=True, slots=True)
class TextDelta:
    """The next piece of the answer.

    Raises:
        ValueError: it contains half of a surrogate pair, which cannot be encoded.
    """

    text: str

    def __post_init__(self) -> None:
        self.text.encode()


@dataclass(frozen=True, slots=True)
class StreamActivity:
    """A part of the stream without text: reasoning, a part of a tool's arguments, a keep-alive."""

    output_bytes: int = 0
    """The size of the reasoning or the arguments, in UTF-8."""


@dataclass(frozen=True, slots=True)
class UsageUpdate:
    """The usage so far; the terminal part replaces it."""

    meters: Meters


@dataclass(frozen=True, slots=True)
class ParameterOmitted:
    """A configured parameter was left out, because the model does not support it."""

    parameter: Parameter


class StopReason(StrEnum):
    """The reason why the model stopped."""

    ANSWERED = "answered"
    LENGTH = "length"
    """The output cap was reached."""
    TOOL_CALLS = "tool_calls"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class StreamEnd:
    """The terminal part of a complete answer, with its usage."""

    meters: Meters
    tool_calls: tuple[ToolCall, ...] = ()
    stop: StopReason = StopReason.ANSWERED
    state: ProviderState | None = None
    """The state that the provider requires with the outputs of the tools."""


StreamPart = TextDelta | StreamActivity | UsageUpdate | ParameterOmitted | StreamEnd


class Model(Protocol):
    """A model of one provider."""

    def stream(self, request: ModelRequest) -> Generator[StreamPart]:
        """Send the request and yield the parts of the answer; the last one is `StreamEnd`.

        Closing the generator cancels the request at the provider.

        Raises:
            ProviderFailed: the provider refused the request, broke off or is not configured.
        """
        ...
