"""Anthropic's Messages API."""

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import cast

from anthropic import Anthropic, AnthropicError, Stream, omit
from anthropic.types import (
    Base64ImageSourceParam,
    ContentBlock,
    DocumentBlockParam,
    ImageBlockParam,
    MessageDeltaUsage,
    MessageParam,
    OutputConfigParam,
    RawContentBlockDelta,
    RawMessageStreamEvent,
    TextBlockParam,
    ToolChoiceParam,
    ToolParam,
    ToolResultBlockParam,
    Usage,
)

from services.runs.errors import ProviderFailed, StreamTruncated
from services.runs.providers.domain.model import StopReason, StreamActivity, StreamPart, UsageUpdate
from services.runs.providers.domain.request import ModelRequest
from services.runs.providers.domain.strict_schema import ANTHROPIC, close_schema, with_schema_instruction
from services.runs.providers.gateway.cap import limited_to_cap
from services.runs.providers.gateway.counts import has, meters, number
from services.runs.providers.gateway.provider_states import Block, StreamedBlocks, new_state, parts_of
from services.runs.providers.gateway.sdk_errors import translated_errors
from services.runs.providers.gateway.streamed_calls import StreamedCalls, arguments_of, ending
from services.runs.providers.gateway.streamed_text import StreamedText, utf8_bytes
from services.runs.providers.gateway.transport import timeouts
from services.runs.runs.domain.conversation import Message, ToolCall
from services.runs.runs.domain.media import Part
from shared.meters import Meter, Meters

_STOPS = {
    "max_tokens": StopReason.LENGTH,
    "model_context_window_exceeded": StopReason.LENGTH,
    "refusal": StopReason.REFUSED,
}
_REASONING = frozenset({"thinking", "redacted_thinking"})
_HOUR = "ephemeral_1h_input_tokens"
_INPUTS = (
    ("input_tokens",),
    ("cache_read_input_tokens",),
    ("cache_creation_input_tokens",),
    ("cache_creation", _HOUR),
)
"""The paths of the input counts. The last name of each path is unique."""


@dataclass(slots=True)
class _MessagesParser:
    """The received part of an answer."""

    calls: StreamedCalls
    text: StreamedText = field(default_factory=StreamedText)
    blocks: StreamedBlocks = field(default_factory=StreamedBlocks)
    inputs: dict[str, int] = field(default_factory=dict[str, int])
    counted: Meters = field(default_factory=dict[Meter, int])
    stopped: str | None = None
    is_counted: bool = False
    """Whether the stop reason was received together with the final usage."""

    def feed(self, event: RawMessageStreamEvent) -> Generator[StreamPart]:
        """Apply an event and yield its text and usage."""
        match event.type:
            case "message_start":
                yield self._count(event.message.usage)
            case "content_block_start":
                self._begin(event.index, event.content_block)
                yield from self.text.add(event.content_block.text if event.content_block.type == "text" else "")
            case "content_block_delta":
                yield from self._add(event.index, event.delta)
            case "message_delta":
                self.stopped = event.delta.stop_reason or self.stopped
                if has(event.usage, "output_tokens"):
                    self.is_counted = self.stopped is not None
                    yield self._count(event.usage)
            case _:
                yield StreamActivity()

    def end(self, request: ModelRequest, uncounted: Meters) -> Generator[StreamPart]:
        """Yield the rest of the text and the terminal part.

        Args:
            request: the request that is answered.
            uncounted: the usage of a complete answer without counts, which compatible servers may send.

        Raises:
            StreamTruncated: the stream has no stop reason.
            ProviderFailed: a tool call is invalid.
        """
        if self.stopped is None:
            raise StreamTruncated
        stop = _STOPS.get(self.stopped, StopReason.ANSWERED)
        counted = self.counted if self.is_counted else uncounted
        yield from self.text.end()
        yield from ending(counted, stop, self.calls, state=new_state(request, "messages", self.blocks.content()))

    def _begin(self, index: int, block: ContentBlock) -> None:
        if block.type == "tool_use":
            self.calls.add(index, call_id=block.id, name=block.name, arguments=block.input or "")
            self.blocks.add_call(at=self.text.chars)
        elif block.type in _REASONING:
            started = block.model_dump(exclude_unset=True, mode="json")
            self.blocks.add_block(started, at=self.text.chars, index=index)

    def _add(self, index: int, delta: RawContentBlockDelta) -> Generator[StreamPart]:
        match delta.type:
            case "text_delta":
                yield from self.text.add(delta.text)
            case "input_json_delta":
                self.calls.add(index, arguments=delta.partial_json)
                yield StreamActivity(utf8_bytes(delta.partial_json))
            case "thinking_delta":
                self._extend(index, "thinking", delta.thinking)
                yield StreamActivity(utf8_bytes(delta.thinking))
            case "signature_delta":
                self._extend(index, "signature", delta.signature)
                yield StreamActivity()
            case _:
                yield StreamActivity()

    def _extend(self, index: int, name: str, text: str) -> None:
        self.blocks.extend_block(index, name, text, at=self.text.chars, begin={"type": "thinking"})

    def _count(self, usage: Usage | MessageDeltaUsage) -> UsageUpdate:
        """Return the usage so far. Counts are cumulative, and later events omit unchanged ones."""
        for path in _INPUTS:
            self.inputs[path[-1]] = number(usage, *path) or self.inputs.get(path[-1], 0)
        cache_read, cache_write = self.inputs["cache_read_input_tokens"], self.inputs["cache_creation_input_tokens"]
        self.counted = meters(
            tokens_in=self.inputs["input_tokens"] + cache_read + cache_write,
            cache_read=cache_read,
            cache_write=cache_write,
            cache_write_1h=self.inputs[_HOUR],
            tokens_out=number(usage, "output_tokens"),
            reasoning=number(usage, "output_tokens_details", "thinking_tokens"),
        )
        return UsageUpdate(self.counted)


class AnthropicMessages:
    """A model behind the Messages API."""

    def __init__(self, client: Anthropic) -> None:
        self._client = client

    def stream(self, request: ModelRequest) -> Generator[StreamPart]:
        """See `Model.stream`."""
        return limited_to_cap(self._stream(request), max_output_tokens=request.max_output_tokens)

    def _stream(self, request: ModelRequest) -> Generator[StreamPart]:
        parser = _MessagesParser(StreamedCalls(request.messages))
        try:
            yield from self._parts(request, parser)
        except ProviderFailed as failure:
            failure.usage_known |= parser.is_counted
            raise

    def _parts(self, request: ModelRequest, parser: _MessagesParser) -> Generator[StreamPart]:
        with translated_errors(AnthropicError), self._open(request) as events:
            for event in events:
                if event.type == "message_stop":
                    yield from parser.end(request, {Meter.TOKENS_UNCERTAIN: request.bound_tokens})
                    return
                yield from parser.feed(event)
            raise StreamTruncated

    def _open(self, request: ModelRequest) -> Stream[RawMessageStreamEvent]:
        return self._client.messages.create(
            model=request.model,
            max_tokens=request.max_output_tokens,
            messages=_messages(request),
            system=_system(request) or omit,
            tools=_tools(request) or omit,
            output_config=_output(request) or omit,
            stop_sequences=list(request.stop) or omit,
            tool_choice=_tool_choice(request) or omit,
            # Since 1.0 the SDK has no argument for these; the API accepts them for models that support them.
            extra_body=_sampling(request) or None,
            stream=True,
            timeout=timeouts(request.timeout_s, max_output_tokens=request.max_output_tokens),
        )


def _messages(request: ModelRequest) -> list[MessageParam]:
    """Return the conversation. The outputs of one turn's tools must be in one message."""
    payload: list[MessageParam] = []
    outputs: list[ToolResultBlockParam] = []
    for message in request.messages:
        if message.role == "tool":
            if not outputs:
                payload.append({"role": "user", "content": outputs})
            outputs.append(
                {"type": "tool_result", "tool_use_id": message.tool_call_id or "", "content": message.content}
            )
            continue
        outputs = []
        if message.role == "user":
            parts = [_part(part) for part in message.parts]
            payload.append({"role": "user", "content": parts or message.content})
        elif message.role == "assistant":
            payload.append(
                {"role": "assistant", "content": cast("list[TextBlockParam]", list(_blocks(message, request)))}
            )
    return payload


def _part(part: Part) -> TextBlockParam | ImageBlockParam | DocumentBlockParam:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    source: Block = {"type": "url", "url": part.url}
    if part.data:
        source = {"type": "base64", "media_type": part.media_type, "data": part.data}
    if part.kind == "image":
        return {"type": "image", "source": cast("Base64ImageSourceParam", source)}
    title = {"title": part.name} if part.name else {}
    return cast("DocumentBlockParam", {"type": "document", "source": source, **title})


def _blocks(message: Message, request: ModelRequest) -> Generator[Block]:
    """Yield the blocks of an assistant's message; the API does not allow empty text."""
    for part in parts_of(message, request, "messages"):
        match part:
            case str():
                yield {"type": "text", "text": part}
            case ToolCall():
                yield {"type": "tool_use", "id": part.id, "name": part.name, "input": arguments_of(part)}
            case block:
                yield block


def _system(request: ModelRequest) -> list[TextBlockParam]:
    return [
        {"type": "text", "text": message.content}
        for message in with_schema_instruction(request)
        if message.role == "system" and message.content
    ]


def _tools(request: ModelRequest) -> list[ToolParam]:
    return [
        {"name": tool.name, "description": tool.description, "input_schema": {"type": "object", **tool.parameters}}
        for tool in request.tools
    ]


def _tool_choice(request: ModelRequest) -> ToolChoiceParam | None:
    choice, single = request.tool_choice, request.parallel_tool_calls is False
    if not request.tools or not (choice or single):
        return None
    if choice and choice.mode == "none":
        return {"type": "none"}
    if choice and choice.mode == "tool":
        return {"type": "tool", "name": choice.tool or "", "disable_parallel_tool_use": single}
    if choice and choice.is_forced:
        return {"type": "any", "disable_parallel_tool_use": single}
    return {"type": "auto", "disable_parallel_tool_use": single}


def _sampling(request: ModelRequest) -> dict[str, float]:
    sampling = {"temperature": request.temperature, "top_p": request.top_p}
    return {name: value for name, value in sampling.items() if value is not None}


def _output(request: ModelRequest) -> OutputConfigParam | None:
    closed = close_schema(request.response_schema, ANTHROPIC) if request.response_schema is not None else None
    return {"format": {"type": "json_schema", "schema": closed}} if closed is not None else None
