"""OpenAI's Responses API, used for models at OpenAI's own server."""

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import cast

from openai import OpenAI, OpenAIError, Stream, omit
from openai.types.responses import (
    FunctionToolParam,
    Response,
    ResponseFunctionToolCall,
    ResponseInputContentParam,
    ResponseInputItemParam,
    ResponseOutputItem,
    ResponseOutputMessage,
    ResponseOutputText,
    ResponseReasoningItem,
    ResponseStreamEvent,
    ResponseTextConfigParam,
    ToolChoiceFunctionParam,
    ToolChoiceOptions,
)

from services.runs.errors import ProviderFailed, StreamTruncated
from services.runs.providers.domain.model import StopReason, StreamActivity, StreamEnd, StreamPart, UsageUpdate
from services.runs.providers.domain.request import ModelRequest
from services.runs.providers.domain.strict_schema import OPENAI, close_schema
from services.runs.providers.gateway.cap import limited_to_cap
from services.runs.providers.gateway.counts import has, latest, meters, number
from services.runs.providers.gateway.failures import of_event
from services.runs.providers.gateway.provider_states import Block, StreamedBlocks, new_state, parts_of
from services.runs.providers.gateway.sdk_errors import translated_errors
from services.runs.providers.gateway.streamed_calls import StreamedCalls, ending
from services.runs.providers.gateway.streamed_text import StreamedText, utf8_bytes
from services.runs.providers.gateway.transport import timeouts
from services.runs.runs.domain.conversation import Message, ToolCall
from services.runs.runs.domain.media import FILE_NAME, Part
from shared.meters import Meter, Meters
from shared.models.names import encrypts_reasoning

_COMPLETE = frozenset({"response.completed", "response.incomplete"})
_PHASE = "phase"
"""The type of an opaque block with the phase of the text after it."""


class OpenAiResponses:
    """A model behind the Responses API."""

    def __init__(self, client: OpenAI) -> None:
        self._client = client

    def stream(self, request: ModelRequest) -> Generator[StreamPart]:
        """See `Model.stream`."""
        return limited_to_cap(self._stream(request), max_output_tokens=request.max_output_tokens)

    def _stream(self, request: ModelRequest) -> Generator[StreamPart]:
        parser = _ResponsesParser(request, _Items(StreamedCalls(request.messages)))
        with translated_errors(OpenAIError), self._open(request) as events:
            for event in events:
                for part in parser.feed(event):
                    yield part
                    if isinstance(part, StreamEnd):
                        return
            raise StreamTruncated

    def _open(self, request: ModelRequest) -> Stream[ResponseStreamEvent]:
        return self._client.responses.create(
            model=request.model,
            input=[item for message in request.messages for item in _items(message, request)],
            max_output_tokens=request.max_output_tokens,
            temperature=omit if request.temperature is None else request.temperature,
            top_p=omit if request.top_p is None else request.top_p,
            tools=_tools(request) or omit,
            tool_choice=_tool_choice(request) or omit,
            parallel_tool_calls=omit if request.parallel_tool_calls is None else request.parallel_tool_calls,
            text=_text(request) or omit,
            # OpenAI must not store the conversation, so it sends the reasoning encrypted and needs it back.
            store=False,
            include=["reasoning.encrypted_content"] if encrypts_reasoning(request.model) else omit,
            stream=True,
            timeout=timeouts(request.timeout_s, max_output_tokens=request.max_output_tokens),
        )


@dataclass(slots=True)
class _Items:
    """The tool calls and the opaque items of an answer."""

    calls: StreamedCalls
    blocks: StreamedBlocks = field(default_factory=StreamedBlocks)
    count: int = 0

    def add(self, item: ResponseOutputItem, *, at: int) -> None:
        """Add a complete item. Reasoning that the server would look up in its own storage is not kept."""
        if isinstance(item, ResponseFunctionToolCall):
            self.calls.add(self.count, call_id=item.call_id, name=item.name, arguments=item.arguments)
            self.blocks.add_call(at=at)
            self.count += 1
        elif isinstance(item, ResponseReasoningItem) and (item.encrypted_content or item.content):
            self.blocks.add_block(item.model_dump(exclude_unset=True, mode="json"), at=at)
            self.count += 1

    def add_phase(self, item: ResponseOutputMessage, *, at: int) -> None:
        """Add the phase of the text that follows, if it has one."""
        if item.phase:
            self.blocks.add_block({"type": _PHASE, "phase": item.phase}, at=at)


@dataclass(slots=True)
class _ResponsesParser:
    """The received part of an answer."""

    request: ModelRequest
    items: _Items
    text: StreamedText = field(default_factory=StreamedText)
    refused: bool = False
    counted: Meters | None = None

    def feed(self, event: ResponseStreamEvent) -> Generator[StreamPart]:
        """Apply an event and yield its parts, the terminal part included.

        Raises:
            ProviderFailed: the answer ended with an error.
        """
        match event.type:
            case "response.output_text.delta":
                yield from self.text.add(event.delta)
            case "response.refusal.delta":
                self.refused = True
                yield from self.text.add(event.delta)
            case "response.output_item.added" if isinstance(event.item, ResponseOutputMessage):
                self.items.add_phase(event.item, at=self.text.chars)
                yield StreamActivity()
            case "response.output_item.done":
                self.items.add(event.item, at=self.text.chars)
                yield StreamActivity()
            case "response.function_call_arguments.delta" | "response.reasoning_text.delta":
                yield StreamActivity(utf8_bytes(event.delta))
            case (
                "response.created"
                | "response.in_progress"
                | "response.completed"
                | "response.incomplete"
                | "response.failed"
            ):
                yield from self._apply(event.type, event.response)
            case "error":
                raise of_event(event.code, {"message": event.message})
            case _:
                yield StreamActivity()

    def _apply(self, kind: str, response: Response) -> Generator[StreamPart]:
        """Apply an event with the response so far.

        Raises:
            ProviderFailed: the response has failed.
        """
        yield StreamActivity()
        if has(response.usage, "input_tokens") or has(response.usage, "output_tokens"):
            self.counted = latest(self.counted, _meters(response))
            yield UsageUpdate(self.counted)
        if kind == "response.failed":
            raise _failure(response)
        if kind in _COMPLETE:
            yield from self._end(response)

    def _end(self, response: Response) -> Generator[StreamPart]:
        """Yield the rest of the text and the terminal part.

        Raises:
            ProviderFailed: a tool call is invalid.
        """
        if not self.text.chars:
            # Some servers send a short answer only as a whole.
            yield from self.text.add("".join(_texts_in(response)))
        yield from self.text.end()
        items = self.items
        if response.output and not items.count:
            for item in response.output:
                items.add(item, at=self.text.chars)
        state = new_state(self.request, "responses", items.blocks.content())
        yield from ending(self.counted or self._uncounted, self._stop(response), items.calls, state=state)

    @property
    def _uncounted(self) -> Meters:
        """The uncertain usage for a server that does not count: the bound of the call."""
        return {Meter.TOKENS_UNCERTAIN: self.request.bound_tokens}

    def _stop(self, response: Response) -> StopReason:
        if self.refused:
            return StopReason.REFUSED
        if response.status != "incomplete":
            return StopReason.ANSWERED
        reason = response.incomplete_details.reason if response.incomplete_details else None
        return StopReason.REFUSED if reason == "content_filter" else StopReason.LENGTH


def _texts_in(response: Response) -> Generator[str]:
    for item in response.output or ():
        for content in item.content if isinstance(item, ResponseOutputMessage) else ():
            if isinstance(content, ResponseOutputText):
                yield content.text


def _failure(response: Response) -> ProviderFailed:
    code, message = (response.error.code, response.error.message) if response.error else (None, None)
    return of_event(code, {"message": message}, usage_known=response.usage is not None)


def _meters(response: Response) -> Meters:
    usage = response.usage
    return meters(
        tokens_in=number(usage, "input_tokens"),
        cache_read=number(usage, "input_tokens_details", "cached_tokens"),
        cache_write=number(usage, "input_tokens_details", "cache_write_tokens"),
        tokens_out=number(usage, "output_tokens"),
        reasoning=number(usage, "output_tokens_details", "reasoning_tokens"),
    )


def _items(message: Message, request: ModelRequest) -> Generator[ResponseInputItemParam]:
    if message.role == "tool":
        yield {"type": "function_call_output", "call_id": message.tool_call_id or "", "output": message.content}
        return
    if message.parts:
        yield {"role": "user", "content": [_part(part) for part in message.parts]}
        return
    if not message.content and not message.tool_calls:
        yield {"role": message.role, "content": ""}
    phase: Block = {}
    for part in parts_of(message, request, "responses"):
        match part:
            case str():
                yield cast("ResponseInputItemParam", {"role": message.role, "content": part, **phase})
            case ToolCall():
                yield {"type": "function_call", "call_id": part.id, "name": part.name, "arguments": part.arguments}
            case {"type": "phase"}:
                phase = {"phase": part["phase"]}
            case block:
                yield cast("ResponseInputItemParam", block)


def _part(part: Part) -> ResponseInputContentParam:
    if isinstance(part, str):
        return {"type": "input_text", "text": part}
    if part.kind == "image":
        return {"type": "input_image", "image_url": part.address, "detail": "auto"}
    if part.url:
        return {"type": "input_file", "file_url": part.url}
    return {"type": "input_file", "file_data": part.address, "filename": part.name or FILE_NAME}


def _tools(request: ModelRequest) -> list[FunctionToolParam]:
    return [
        {
            "type": "function",
            "name": tool.name,
            "description": tool.description,
            "parameters": dict(tool.parameters),
            # Any JSON Schema is allowed, not only the subset that OpenAI's strict mode supports.
            "strict": False,
        }
        for tool in request.tools
    ]


def _tool_choice(request: ModelRequest) -> ToolChoiceOptions | ToolChoiceFunctionParam | None:
    choice = request.tool_choice
    if choice is None or not request.tools:
        return None
    if choice.mode == "tool":
        return {"type": "function", "name": choice.tool or ""}
    return choice.mode


def _text(request: ModelRequest) -> ResponseTextConfigParam | None:
    if request.response_schema is None:
        return None
    closed = close_schema(request.response_schema, OPENAI)
    schema = dict(request.response_schema) if closed is None else closed
    return {"format": {"type": "json_schema", "name": "answer", "schema": schema, "strict": closed is not None}}
