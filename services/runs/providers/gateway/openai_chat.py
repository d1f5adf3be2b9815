"""OpenAI's Chat Completions API, which vLLM, Ollama, llama.cpp and most other servers implement too."""

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from openai import OpenAI, OpenAIError, Stream, omit
from openai.types.chat import (
    ChatCompletionChunk,
    ChatCompletionContentPartParam,
    ChatCompletionMessageParam,
    ChatCompletionToolChoiceOptionParam,
    ChatCompletionToolUnionParam,
)
from openai.types.chat.chat_completion_chunk import ChoiceDeltaToolCall
from openai.types.completion_usage import CompletionUsage
from openai.types.shared_params import ResponseFormatJSONSchema

from services.runs.errors import ProviderFailed, StreamTruncated
from services.runs.providers.domain.model import StopReason, StreamActivity, StreamPart, TextDelta, UsageUpdate
from services.runs.providers.domain.parameters import cap_parameter
from services.runs.providers.domain.request import ModelRequest
from services.runs.providers.domain.strict_schema import OPENAI, close_schema
from services.runs.providers.gateway.cap import limited_to_cap
from services.runs.providers.gateway.chat_extras import ChatExtras
from services.runs.providers.gateway.counts import has, latest, meters, number
from services.runs.providers.gateway.provider_states import Block, content_of, new_state
from services.runs.providers.gateway.sdk_errors import translated_errors
from services.runs.providers.gateway.streamed_calls import StreamedCalls, ending
from services.runs.providers.gateway.streamed_text import StreamedText, utf8_bytes
from services.runs.providers.gateway.transport import timeouts
from services.runs.runs.domain.conversation import Message, ToolCall
from services.runs.runs.domain.media import FILE_NAME, Part
from shared.meters import Meter, Meters

_STOPS = {"length": StopReason.LENGTH, "content_filter": StopReason.REFUSED}


@dataclass(slots=True)
class _ChatParser:
    """The received part of an answer."""

    calls: StreamedCalls
    text: StreamedText = field(default_factory=StreamedText)
    extras: ChatExtras = field(default_factory=ChatExtras)
    finished: str | None = None
    refused: bool = False
    counted: Meters | None = None
    is_complete: bool = False
    """Whether the finish reason and then the usage were received, so that a break of the stream loses nothing."""

    def feed(self, chunk: ChatCompletionChunk) -> Generator[TextDelta | StreamActivity]:
        """Apply a chunk and yield its text."""
        has_usage = has(chunk.usage, "prompt_tokens") or has(chunk.usage, "completion_tokens")
        if chunk.usage and has_usage:
            self.counted = latest(self.counted, _meters(chunk.usage))
        for choice in chunk.choices or ():
            self.finished = choice.finish_reason or self.finished
            hidden_bytes = self.extras.add(choice.delta) + self._add_calls(choice.delta.tool_calls or ())
            yield from [StreamActivity(hidden_bytes)] if hidden_bytes else []
            if choice.delta.refusal:
                self.refused = True
            yield from self.text.add(choice.delta.content or choice.delta.refusal or "")
        self.is_complete = self.finished is not None and has_usage

    def end(self, request: ModelRequest, uncounted: Meters | None) -> Generator[StreamPart]:
        """Yield the rest of the text and the terminal part.

        Args:
            request: the request that is answered.
            uncounted: the usage of a complete answer without counts; None if such an answer is incomplete.

        Raises:
            StreamTruncated: the answer broke off.
            ProviderFailed: a tool call is invalid.
        """
        counted = uncounted if self.counted is None else self.counted
        if self.finished is None or counted is None:
            raise StreamTruncated
        yield from self.text.end()
        stop = StopReason.REFUSED if self.refused else _STOPS.get(self.finished, StopReason.ANSWERED)
        state = new_state(request, "chat", self.extras.content())
        yield from ending(counted, stop, self.calls, state=state)

    def _add_calls(self, fragments: Sequence[ChoiceDeltaToolCall]) -> int:
        """Add fragments of calls and return the bytes of their arguments."""
        for position, fragment in enumerate(fragments):
            name, arguments = (fragment.function.name, fragment.function.arguments) if fragment.function else ("", "")
            # Some servers omit the index, which the SDK does not validate.
            given = cast("int | None", fragment.index)
            index = position if given is None and len(fragments) > 1 else given
            place = self.calls.add(index, call_id=fragment.id, name=name, arguments=arguments)
            self.extras.add_to_call(place, fragment)
        texts = [fragment.function.arguments for fragment in fragments if fragment.function]
        return sum(utf8_bytes(text) for text in texts if isinstance(text, str))


class OpenAiChat:
    """A model behind the Chat Completions API.

    Args:
        client: the client of the server.
        official: whether the server is OpenAI's own.
    """

    def __init__(self, client: OpenAI, *, official: bool) -> None:
        self._client = client
        self._official = official

    def stream(self, request: ModelRequest) -> Generator[StreamPart]:
        """See `Model.stream`."""
        return limited_to_cap(self._stream(request), max_output_tokens=request.max_output_tokens)

    def _stream(self, request: ModelRequest) -> Generator[StreamPart]:
        parser = _ChatParser(StreamedCalls(request.messages))
        try:
            yield from self._parts(request, parser)
        except ProviderFailed:
            if not parser.is_complete:
                raise
        yield from parser.end(request, self._uncounted(request))

    def _parts(self, request: ModelRequest, parser: _ChatParser) -> Generator[StreamPart]:
        with translated_errors(OpenAIError), self._open(request) as chunks:
            for chunk in chunks:
                before = parser.counted
                yield from parser.feed(chunk)
                if parser.counted is not None and parser.counted != before:
                    yield UsageUpdate(parser.counted)

    def _open(self, request: ModelRequest) -> Stream[ChatCompletionChunk]:
        caps = {name: omit for name in ("max_tokens", "max_completion_tokens")}
        caps |= {cap_parameter(request): request.max_output_tokens}
        return self._client.chat.completions.create(
            model=request.model,
            messages=[_message(message, request) for message in request.messages],
            max_completion_tokens=caps["max_completion_tokens"],
            max_tokens=caps["max_tokens"],
            temperature=omit if request.temperature is None else request.temperature,
            top_p=omit if request.top_p is None else request.top_p,
            stop=list(request.stop) or omit,
            seed=omit if request.seed is None else request.seed,
            tools=_tools(request) or omit,
            tool_choice=_tool_choice(request) or omit,
            parallel_tool_calls=omit if request.parallel_tool_calls is None else request.parallel_tool_calls,
            response_format=_format(request) or omit,
            stream=True,
            stream_options={"include_usage": True},
            timeout=timeouts(request.timeout_s, max_output_tokens=request.max_output_tokens),
        )

    def _uncounted(self, request: ModelRequest) -> Meters | None:
        """Return the uncertain usage for a server that cannot count a stream: the bound of the call."""
        if self._official:
            return None
        return {Meter.TOKENS_UNCERTAIN: request.bound_tokens}


def _message(message: Message, request: ModelRequest) -> ChatCompletionMessageParam:
    match message.role:
        case "system":
            return {"role": "system", "content": message.content}
        case "user":
            parts: list[ChatCompletionContentPartParam] = [_part(part) for part in message.parts]
            return {"role": "user", "content": parts or message.content}
        case "tool":
            return {"role": "tool", "content": message.content, "tool_call_id": message.tool_call_id or ""}
        case "assistant" if message.tool_calls:
            extras: Block = content_of(message, request, "chat") or {}
            calls = list(_calls(message.tool_calls, extras.get("calls", {})))
            answer = {"role": "assistant", "content": message.content or None, "tool_calls": calls}
            return cast("ChatCompletionMessageParam", {**answer, **extras.get("message", {})})
        case "assistant":
            return {"role": "assistant", "content": message.content}


def _part(part: Part) -> ChatCompletionContentPartParam:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    if part.kind == "image":
        return {"type": "image_url", "image_url": {"url": part.address}}
    return {"type": "file", "file": {"file_data": part.address, "filename": part.name or FILE_NAME}}


def _calls(calls: Iterable[ToolCall], extras: Mapping[str, Block]) -> Generator[Block]:
    for place, call in enumerate(calls):
        written = {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        yield {**written, **extras.get(str(place), {})}


def _tools(request: ModelRequest) -> list[ChatCompletionToolUnionParam]:
    return [
        {
            "type": "function",
            "function": {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)},
        }
        for tool in request.tools
    ]


def _tool_choice(request: ModelRequest) -> ChatCompletionToolChoiceOptionParam | None:
    choice = request.tool_choice
    if choice is None or not request.tools:
        return None
    if choice.mode == "tool":
        return {"type": "function", "function": {"name": choice.tool or ""}}
    return choice.mode


def _format(request: ModelRequest) -> ResponseFormatJSONSchema | None:
    if request.response_schema is None:
        return None
    closed = close_schema(request.response_schema, OPENAI)
    schema = dict(request.response_schema) if closed is None else closed
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": closed is not None}}


def _meters(usage: CompletionUsage) -> Meters:
    return meters(
        tokens_in=number(usage, "prompt_tokens"),
        cache_read=number(usage, "prompt_tokens_details", "cached_tokens"),
        cache_write=number(usage, "prompt_tokens_details", "cache_write_tokens"),
        tokens_out=number(usage, "completion_tokens"),
        reasoning=number(usage, "completion_tokens_details", "reasoning_tokens"),
    )
