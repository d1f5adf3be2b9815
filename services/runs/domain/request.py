"""What is sent to a model: the agent's config and the run's conversation, put together."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, cast

DEFAULT_MAX_OUTPUT_TOKENS = 4_096
DEFAULT_TIMEOUT_S = 120
MAX_OUTPUT_TOKENS = 1_000_000
_OWN_SERVERS = frozenset({"openai", "anthropic"})
"""Providers whose API other servers speak."""
_PER_MESSAGE_TOKENS = 16
"""More than any provider adds around a message."""
_PER_REQUEST_TOKENS = 512
"""More than any provider adds around tools, schemas and the whole."""

Provider = Literal["openai", "anthropic", "bedrock", "simulated"]
Api = Literal["responses", "chat", "messages", "converse"]
_BY_NAME: tuple[tuple[str, Provider], ...] = (
    ("gpt-", "openai"),
    ("chatgpt-", "openai"),
    ("o1", "openai"),
    ("o3", "openai"),
    ("o4", "openai"),
    ("claude-", "anthropic"),
)


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model asks for a tool of the client's.

    Raises:
        ValueError: there is half of a character in it, which nobody can write down.
    """

    id: str
    name: str
    arguments: str
    """JSON, as the model wrote it."""

    def __post_init__(self) -> None:
        f"{self.id}{self.name}{self.arguments}".encode()


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the client executes."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    """JSON Schema of its arguments."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the conversation."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    """Of an assistant's message."""
    tool_call_id: str | None = None
    """Of a tool's message: which call it answers."""


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """A call to a model, before any provider's own shape."""

    provider: Provider
    model: str
    messages: tuple[Message, ...]
    max_output_tokens: int
    output_asked_for: bool = False
    """Whether the run or the config asks for this many, or it is the default."""
    temperature: float | None = None
    tools: tuple[Tool, ...] = ()
    response_schema: Mapping[str, Any] | None = None
    base_url: str | None = None
    """None: the provider's own."""
    api: Api | None = None
    """None: the one that is right for the provider and address."""
    timeout_s: int = DEFAULT_TIMEOUT_S

    @property
    def bound_tokens(self) -> int:
        """More tokens than the whole call can take."""
        return self.input_bound_tokens + self.max_output_tokens

    @property
    def input_bound_tokens(self) -> int:
        """More tokens than the input can be: the UTF-8 bytes of everything that is sent, and what is put around it."""
        sent = json.dumps([asdict(tool) for tool in self.tools], ensure_ascii=False)
        sent += json.dumps(self.response_schema, ensure_ascii=False)
        sent += "".join(json.dumps(asdict(message), ensure_ascii=False) for message in self.messages)
        return len(sent.encode()) + _PER_MESSAGE_TOKENS * len(self.messages) + _PER_REQUEST_TOKENS


def compose(
    config: Mapping[str, Any],
    inputs: Mapping[str, Any],
    *,
    turns: Sequence[Message] = (),
    max_output_tokens: int | None,
) -> ModelRequest:
    """The request of this agent config for this conversation.

    Args:
        config: of the agent's version.
        inputs: of the run: `message`, or `messages`.
        turns: what came after: the model's calls of tools and their outputs.
        max_output_tokens: asked for by the run; the config's or the default otherwise.
    """
    system = [Message("system", config["system_prompt"])] if config.get("system_prompt") else []
    provider = provider_of(config)
    asked_for = max_output_tokens or config.get("max_output_tokens")
    return ModelRequest(
        provider=provider,
        model=config["model"],
        messages=(*system, *_conversation(inputs), *turns),
        # Versions of earlier releases have no limit here, nor of where they name a server.
        max_output_tokens=min(asked_for or DEFAULT_MAX_OUTPUT_TOKENS, MAX_OUTPUT_TOKENS),
        output_asked_for=asked_for is not None,
        temperature=config.get("temperature"),
        tools=tuple(
            Tool(tool["name"], tool.get("description", ""), tool.get("parameters", {}))
            for tool in config.get("tools", ())
        ),
        response_schema=config.get("response_schema"),
        base_url=config.get("base_url") if provider in _OWN_SERVERS else None,
        api=config.get("api"),
        timeout_s=config.get("timeout_s", DEFAULT_TIMEOUT_S),
    )


def falling_back(request: ModelRequest, model: str) -> ModelRequest:
    """The same request to another model, at that model's own provider."""
    return replace(request, model=model, provider=provider_of({"model": model}), base_url=None, api=None)


def provider_of(config: Mapping[str, Any]) -> Provider:
    """The provider that the config names, or the one that its model's name tells."""
    if config.get("provider"):
        return cast("Provider", config["provider"])
    if config.get("base_url"):
        return "openai"
    name = str(config["model"])
    for prefix, provider in _BY_NAME:
        if name.startswith(prefix):
            return provider
    return "bedrock"


def _conversation(inputs: Mapping[str, Any]) -> Sequence[Message]:
    if "message" in inputs:
        return [Message("user", inputs["message"])]
    return [Message(message["role"], message["content"]) for message in inputs["messages"]]
