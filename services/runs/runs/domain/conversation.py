"""The messages of a run's conversation."""

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from services.runs.runs.domain.media import MediaPart, Part


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model's request to call a tool that the client executes.

    Raises:
        ValueError: a text contains half of a surrogate pair, which cannot be encoded.
    """

    id: str
    name: str
    arguments: str
    """JSON as the model wrote it."""

    def __post_init__(self) -> None:
        f"{self.id}{self.name}{self.arguments}".encode()


@dataclass(frozen=True, slots=True)
class ProviderState:
    """Opaque parts of an answer, such as signed reasoning, which the provider requires with the next turn.

    They are sent back only to the same model of the same provider, and are not part of any response.
    """

    provider: str
    model: str
    api: str
    """The wire format that has written the content."""
    content: str
    """JSON."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the conversation."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str
    """The text; with parts, that of all of them."""
    tool_calls: tuple[ToolCall, ...] = ()
    """The tool calls of an assistant's message."""
    tool_call_id: str | None = None
    """The id of the call that a tool's message answers."""
    state: ProviderState | None = None
    """The provider's state of an assistant's message."""
    parts: tuple[Part, ...] = ()
    """The texts, images and files of a user's message in order; empty if it is one text."""

    @classmethod
    def with_parts(cls, role: Literal["system", "user", "assistant"], parts: tuple[Part, ...]) -> "Message":
        """Return a message of these parts."""
        text = "\n".join(part for part in parts if isinstance(part, str))
        return cls(role, text, parts=parts if any(isinstance(part, MediaPart) for part in parts) else ())

    def to_payload(self) -> dict[str, Any]:
        """Return the form in which a message is stored and measured, without the bytes of images and files."""
        payload = asdict(replace(self, parts=()))
        del payload["parts"]
        if self.parts:
            payload["media"] = [[part.url, part.name] for part in self.parts if isinstance(part, MediaPart)]
        if self.state is None:
            del payload["state"]
        return payload
