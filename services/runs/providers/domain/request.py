"""Model requests, composed of the agent's config and the run's conversation."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import Any, Literal, cast

from services.runs.providers.domain.directives import reported_input_tokens
from services.runs.providers.domain.media_bounds import (
    NO_MEDIA_TOKENS,
    SIMULATED_TOKENS,
    MediaTokens,
    media_bound_tokens,
    media_in,
)
from services.runs.providers.domain.model_rows import row_of
from services.runs.providers.domain.own_price import OwnPrice
from services.runs.runs.domain.conversation import Message
from services.runs.runs.domain.media import parts_of
from shared.models.capabilities import Capabilities, Provider
from shared.models.names import ModelName, UnknownModel, WrongPrefix, locate, parse

DEFAULT_MAX_OUTPUT_TOKENS = 4_096
DEFAULT_TIMEOUT_S = 120
MAX_OUTPUT_TOKENS = 1_000_000
_OWN_SERVERS = frozenset({"openai", "anthropic", "azure"})
"""Providers whose API is also implemented by other servers, or by one server of each customer."""
_PER_MESSAGE_TOKENS = 16
"""An upper bound of the tokens that a provider adds to each message."""
_PER_REQUEST_TOKENS = 512
"""An upper bound of the tokens that a provider adds to a request for tools, schemas and framing."""

Api = Literal["responses", "chat", "messages", "converse"]


@dataclass(frozen=True, slots=True)
class ToolDefinition:
    """A function that the client executes."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    """The JSON Schema of the arguments."""


Mode = Literal["auto", "none", "required", "tool"]


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """The tools that the model may or must call."""

    mode: Mode
    tool: str | None = None
    """The name of the one tool that it must call."""

    @property
    def is_forced(self) -> bool:
        """Whether the model must call a tool."""
        return self.mode in {"required", "tool"}


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """A request to a model, independent of the provider's format."""

    provider: Provider
    model: str
    messages: tuple[Message, ...]
    max_output_tokens: int
    has_explicit_cap: bool = False
    """Whether the run or the config sets the output cap; False if it is the default."""
    temperature: float | None = None
    top_p: float | None = None
    stop: tuple[str, ...] = ()
    """The texts before which the output ends."""
    seed: int | None = None
    tool_choice: ToolChoice | None = None
    """None: the model decides."""
    parallel_tool_calls: bool | None = None
    """False: at most one tool call in a turn. None: the provider's default."""
    cap_parameter: Literal["max_tokens", "max_completion_tokens"] | None = None
    """The name of the output cap in Chat Completions; None: the server's usual one."""
    tools: tuple[ToolDefinition, ...] = ()
    response_schema: Mapping[str, Any] | None = None
    base_url: str | None = None
    """None: the provider's own address."""
    api: Api | None = None
    """None: the default API of the provider and address."""
    timeout_s: int = DEFAULT_TIMEOUT_S
    configured_name: str = ""
    """The name in the config, if it differs from the one that is sent."""
    priced_as: Provider | None = None
    """The provider whose prices apply to a simulated answer; None: the provider of the request."""

    own_price: OwnPrice | None = None
    """The tenant's own price, which takes precedence over the list price."""
    media_tokens: MediaTokens = NO_MEDIA_TOKENS
    """The tenant's own bounds of images and files."""

    @property
    def name(self) -> str:
        """The name of the model in the config."""
        return self.configured_name or self.model

    @property
    def row(self) -> Capabilities | None:
        """The capabilities of the model, or of the one that a simulated answer replaces; None if they are unknown."""
        return row_of(self.priced_as or self.provider, self.model, self.base_url)

    @property
    def bound_tokens(self) -> int:
        """An upper bound of the tokens of the whole call."""
        return self.input_bound_tokens + self.max_output_tokens

    @property
    def input_bound_tokens(self) -> int:
        """An upper bound of the input tokens: the UTF-8 bytes of all text, plus the framing, images and files.

        The bound includes the usage that a directive asks the simulated provider to report, so that it is reserved.
        """
        sent = json.dumps([asdict(tool) for tool in self.tools], ensure_ascii=False)
        # The closed form of a schema may be twice as long.
        sent += 2 * json.dumps(self.response_schema, ensure_ascii=False)
        sent += "".join(json.dumps(message.to_payload(), ensure_ascii=False) for message in self.messages)
        media = media_bound_tokens(media_in(self.messages), self.row, self.media_tokens)
        bound = media + len(sent.encode()) + _PER_MESSAGE_TOKENS * len(self.messages) + _PER_REQUEST_TOKENS
        return max(bound, reported_input_tokens(self.messages))


def compose(
    config: Mapping[str, Any],
    inputs: Mapping[str, Any],
    *,
    turns: Sequence[Message] = (),
    parameters: Mapping[str, Any] = MappingProxyType({}),
    max_output_tokens: int | None,
) -> ModelRequest:
    """Return the request of this agent config for this conversation.

    Args:
        config: the config of the agent's version.
        inputs: the run's inputs: `message` or `messages`.
        turns: the turns after the inputs: the model's tool calls and their outputs.
        parameters: the parameters of the run, which replace those of the config.
        max_output_tokens: the run's cap; None uses the config's or the default.
    """
    config = {**config, **parameters}
    system = [Message("system", config["system_prompt"])] if config.get("system_prompt") else []
    located = model_of(config)
    provider = located.provider
    has_explicit_cap = max_output_tokens or config.get("max_output_tokens")
    return ModelRequest(
        provider=provider,
        model=located.model,
        configured_name=config["model"],
        priced_as=_priced_as(located),
        messages=(*system, *_conversation(inputs), *turns),
        # Versions of earlier releases may have a higher cap, or a base_url with any provider.
        max_output_tokens=min(has_explicit_cap or DEFAULT_MAX_OUTPUT_TOKENS, MAX_OUTPUT_TOKENS),
        has_explicit_cap=has_explicit_cap is not None,
        temperature=config.get("temperature"),
        top_p=config.get("top_p"),
        stop=tuple(config.get("stop") or ()),
        seed=config.get("seed"),
        tool_choice=_tool_choice(config, turns),
        parallel_tool_calls=config.get("parallel_tool_calls"),
        tools=tuple(
            ToolDefinition(tool["name"], tool.get("description", ""), tool.get("parameters", {}))
            for tool in config.get("tools", ())
        ),
        response_schema=config.get("response_schema"),
        base_url=config.get("base_url") if provider in _OWN_SERVERS else None,
        api=config.get("api"),
        timeout_s=config.get("timeout_s", DEFAULT_TIMEOUT_S),
        own_price=OwnPrice.from_config(config.get("price")),
        media_tokens=_media_tokens(config, located),
    )


def fallback_request(request: ModelRequest, name: str) -> ModelRequest:
    """Return the same request to another model, at that model's own provider and list price.

    Another deployment at Azure has the same server, since Azure has no address of its own.
    """
    is_azure = name.lower().startswith("azure/")
    base_url = request.base_url if is_azure else None
    located = model_of({"model": name, "base_url": base_url})
    return replace(
        request,
        model=located.model,
        configured_name=name,
        provider=located.provider,
        priced_as=_priced_as(located),
        own_price=None,
        media_tokens=NO_MEDIA_TOKENS,
        base_url=base_url,
        api=request.api if is_azure else None,
    )


def model_of(config: Mapping[str, Any]) -> ModelName:
    """Return the model of a config. Names that earlier releases accepted and no family knows belong to Bedrock."""
    name, provider = str(config["model"]), config.get("provider")
    try:
        return locate(name, provider=provider, base_url=config.get("base_url"))
    except UnknownModel:
        return ModelName("bedrock", name)
    except WrongPrefix:
        return ModelName(provider, name) if provider else parse(name)


def _tool_choice(config: Mapping[str, Any], turns: Sequence[Message]) -> ToolChoice | None:
    """Return the choice of a config. A forced one ends with the first tool output, so that the run can end."""
    choice = config.get("tool_choice")
    if choice is None:
        return None
    found = ToolChoice(cast("Mode", choice)) if isinstance(choice, str) else ToolChoice("tool", choice["tool"])
    has_output = any(turn.role == "tool" for turn in turns)
    return ToolChoice("auto") if found.is_forced and has_output else found


def _priced_as(located: ModelName) -> Provider | None:
    """Return the provider that would answer instead of the built-in one; None if the name implies none."""
    if located.provider != "simulated":
        return located.provider
    try:
        return parse(located.model).provider
    except UnknownModel:
        return None


def _media_tokens(config: Mapping[str, Any], located: ModelName) -> MediaTokens:
    """Return the bounds of images and files in a config; a simulated model has some of its own."""
    default = SIMULATED_TOKENS if located.provider == "simulated" else None
    return MediaTokens(config.get("image_tokens") or default, config.get("file_tokens") or default)


def _conversation(inputs: Mapping[str, Any]) -> Sequence[Message]:
    if "message" in inputs:
        return [Message.with_parts("user", parts_of(inputs["message"]))]
    return [Message.with_parts(message["role"], parts_of(message["content"])) for message in inputs["messages"]]
