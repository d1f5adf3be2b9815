"""What is sent to a model: the agent's config and the run's inputs, put together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.runs.domain.run import PlannedCall

DEFAULT_MAX_OUTPUT_TOKENS = 4_096
_PER_MESSAGE_TOKENS = 16
"""More than any provider adds around a message."""

SIMULATED = "simulated"
_BY_NAME = (("gpt-", "openai"), ("o1", "openai"), ("o3", "openai"), ("o4", "openai"), ("claude-", "anthropic"))


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the conversation."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """A call to a model, before any provider's own shape."""

    model: str
    messages: tuple[Message, ...]
    max_output_tokens: int

    @property
    def input_bytes(self) -> int:
        """The UTF-8 bytes of everything that is sent; a token is at least one byte."""
        return sum(len(message.content.encode()) + _PER_MESSAGE_TOKENS for message in self.messages)


def compose(config: Mapping[str, Any], inputs: Mapping[str, Any], *, max_output_tokens: int | None) -> ModelRequest:
    """The request of this agent config for these inputs.

    Args:
        config: of the agent's version.
        inputs: of the run: `message`, or `messages`.
        max_output_tokens: asked for by the run; the config's or the default otherwise.
    """
    system = [Message("system", config["system_prompt"])] if config.get("system_prompt") else []
    cap = max_output_tokens or config.get("max_output_tokens") or DEFAULT_MAX_OUTPUT_TOKENS
    return ModelRequest(config["model"], (*system, *_conversation(inputs)), cap)


def _conversation(inputs: Mapping[str, Any]) -> Sequence[Message]:
    if "message" in inputs:
        return [Message("user", inputs["message"])]
    return [Message(message["role"], message["content"]) for message in inputs["messages"]]


def provider_of(config: Mapping[str, Any]) -> str:
    """The provider that the config names, or the one that its model's name tells."""
    if config.get("provider"):
        return str(config["provider"])
    name = str(config["model"])
    return next((provider for prefix, provider in _BY_NAME if name.startswith(prefix)), "bedrock")


def plan(config: Mapping[str, Any], request: ModelRequest, *, simulate: bool) -> PlannedCall:
    """The call that this request will be.

    Args:
        config: of the agent's version.
        request: what is sent.
        simulate: answer through `simulated` for a provider that has no key.
    """
    provider = provider_of(config)
    simulated = provider == SIMULATED or simulate
    return PlannedCall(
        provider=SIMULATED if simulated else provider,
        model=request.model,
        simulated=simulated,
        bound_tokens=request.input_bytes + request.max_output_tokens,
        max_output_tokens=request.max_output_tokens,
    )
