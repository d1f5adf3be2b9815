"""Amazon Bedrock's Converse API, called with the function's own role."""

import json
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Generator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from botocore.compat import set_socket_timeout
from botocore.eventstream import ParserError
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    EventStreamError,
    HTTPClientError,
    ReadTimeoutError,
)
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError
from urllib3.exceptions import ReadTimeoutError as StreamReadTimeoutError

from services.runs.errors import ProviderFailed, StreamTruncated
from services.runs.providers.domain.model import StopReason, StreamActivity, StreamEnd, StreamPart, UsageUpdate
from services.runs.providers.domain.request import ModelRequest, ToolChoice
from services.runs.providers.domain.strict_schema import ANTHROPIC, close_schema, with_schema_instruction
from services.runs.providers.gateway.cap import limited_to_cap
from services.runs.providers.gateway.counts import latest, meters, number, number_of_entry
from services.runs.providers.gateway.failures import (
    broken_off,
    corrupt,
    invalid_call,
    of_event,
    of_response,
    timed_out,
    unreachable,
)
from services.runs.providers.gateway.provider_states import Block, StreamedBlocks, new_state, parts_of
from services.runs.providers.gateway.streamed_calls import StreamedCalls, arguments_of, ending
from services.runs.providers.gateway.streamed_text import StreamedText, utf8_bytes
from services.runs.runs.domain.conversation import Message, ToolCall
from services.runs.runs.domain.media import Part
from shared.meters import Meters
from shared.times import utc_now

_CLIENTS = 8
"""The number of cached clients; each has one timeout, and agents use few."""
_STOPS = {
    "max_tokens": StopReason.LENGTH,
    "model_context_window_exceeded": StopReason.LENGTH,
    "guardrail_intervened": StopReason.REFUSED,
    "content_filtered": StopReason.REFUSED,
}
_UNREADABLE = (ParserError, ResponseParserError, ValueError, TypeError, KeyError)
_MEANINGS: tuple[tuple[tuple[type[Exception], ...], Callable[[], ProviderFailed]], ...] = (
    ((EndpointConnectionError, ConnectTimeoutError), unreachable),
    ((ReadTimeoutError, StreamReadTimeoutError), timed_out),
    ((HTTPClientError, HTTPError, OSError), broken_off),
    (_UNREADABLE, corrupt),
)
_MALFORMED: dict[str, Callable[[], ProviderFailed]] = {
    "malformed_model_output": lambda: corrupt(usage_known=True),
    "malformed_tool_use": lambda: invalid_call("The model's tool call cannot be read."),
}


@dataclass(slots=True)
class _ConverseParser:
    """The received part of an answer."""

    request: ModelRequest
    calls: StreamedCalls
    text: StreamedText = field(default_factory=StreamedText)
    blocks: StreamedBlocks = field(default_factory=StreamedBlocks)
    counted: Meters | None = None
    stopped: str | None = None

    def feed(self, event: Mapping[str, Any]) -> Generator[StreamPart]:
        """Apply an event and yield its text and the final usage.

        Raises:
            ProviderFailed: Bedrock reports that the model's answer is malformed.
        """
        match event:
            case {"contentBlockStart": {"contentBlockIndex": index, "start": {"toolUse": use}}}:
                self.calls.add(index, call_id=use["toolUseId"], name=use["name"])
                self.blocks.add_call(at=self.text.chars)
            case {"contentBlockDelta": {"delta": {"text": text}}}:
                yield from self.text.add(text)
            case {"contentBlockDelta": {"contentBlockIndex": index, "delta": {"toolUse": use}}}:
                self.calls.add(index, arguments=use["input"])
                yield StreamActivity(utf8_bytes(use["input"]))
            case {"contentBlockDelta": {"contentBlockIndex": index, "delta": {"reasoningContent": piece}}}:
                self._add_reasoning(index, piece)
                yield StreamActivity(utf8_bytes(piece.get("text", "")))
            case {"contentBlockDelta": block} if "delta" not in block:
                # botocore returns an event that it cannot parse as one without content.
                raise corrupt()
            case {"messageStop": {"stopReason": reason}}:
                self.stopped = reason
            case {"metadata": {"usage": usage}}:
                self.counted = latest(self.counted, _meters(usage))
                yield from self.end() if self.stopped is not None else [UsageUpdate(self.counted)]
            case _:
                yield StreamActivity()

    def _add_reasoning(self, index: int, piece: Mapping[str, Any]) -> None:
        for name, value in piece.items():
            if isinstance(value, bytes):
                self.blocks.add_block({name: b64encode(value).decode()}, at=self.text.chars)
            else:
                self.blocks.extend_block(index, name, value, at=self.text.chars, begin={})

    def end(self) -> Generator[StreamPart]:
        """Yield the rest of the text and the terminal part.

        Raises:
            StreamTruncated: the answer broke off.
            ProviderFailed: the answer or a tool call is malformed.
        """
        counted, stopped = self.counted, self.stopped
        if counted is None or stopped is None:
            raise StreamTruncated
        if stopped in _MALFORMED:
            yield UsageUpdate(counted)
            raise _MALFORMED[stopped]()
        stop = _STOPS.get(stopped, StopReason.ANSWERED)
        yield from self.text.end()
        yield from ending(counted, stop, self.calls, state=new_state(self.request, "converse", self.blocks.content()))


class BedrockConverse:
    """A model behind the Converse API.

    Args:
        client: returns a `bedrock-runtime` client with this read timeout in seconds and without retries.
    """

    def __init__(self, client: Callable[[float], Any]) -> None:
        self._client = lru_cache(_CLIENTS)(client)

    def stream(self, request: ModelRequest) -> Generator[StreamPart]:
        """See `Model.stream`."""
        return limited_to_cap(self._stream(request), max_output_tokens=request.max_output_tokens)

    def _stream(self, request: ModelRequest) -> Generator[StreamPart]:
        ends_at = time.monotonic() + request.timeout_s
        with _translated_errors():
            events = self._client(request.timeout_s).converse_stream(**_arguments(request))["stream"]
            with closing(events):
                yield from _read(request, events, ends_at)


def _read(request: ModelRequest, events: Any, ends_at: float) -> Generator[StreamPart]:  # noqa: ANN401 — botocore's streams have no static type
    parser = _ConverseParser(request, StreamedCalls(request.messages))
    for event in _until(ends_at, events):
        for part in parser.feed(event):
            yield part
            if isinstance(part, StreamEnd):
                return
    yield from parser.end()


def _until(ends_at: float, events: Any) -> Generator[Mapping[str, Any]]:  # noqa: ANN401 — as above
    """Return the events until the deadline of the whole call, since botocore's timeout restarts with each read."""
    waiting = iter(events)
    while True:
        left = ends_at - time.monotonic()
        if left <= 0:
            raise timed_out()
        # A stream that was read to its end has no socket.
        with suppress(AttributeError):
            set_socket_timeout(events._raw_stream, left)
        event = next(waiting, None)
        if event is None:
            return
        yield event


@contextmanager
def _translated_errors() -> Generator[None]:
    """Convert the exceptions of this block to failures of the provider."""
    try:
        yield
    except (BotoCoreError, ClientError, HTTPError, OSError, *_UNREADABLE) as error:
        raise _failure(error) from None


def _failure(error: Exception) -> ProviderFailed:
    if isinstance(error, EventStreamError):
        error_body = error.response.get("Error", {})
        return of_event(error_body.get("Code"), {"message": error_body.get("Message")})
    if isinstance(error, ClientError):
        return _of_status(error)
    for kinds, meaning in _MEANINGS:
        if isinstance(error, kinds):
            return meaning()
    # All other errors occur on our side before anything is sent.
    message = f"The request cannot be sent to Bedrock: {type(error).__name__}."
    return ProviderFailed("ProviderNotConfigured", message)


def _of_status(error: ClientError) -> ProviderFailed:
    answered = error.response.get("ResponseMetadata", {})
    message = error.response.get("Error", {}).get("Message")
    headers = answered.get("HTTPHeaders", {})
    return of_response(answered.get("HTTPStatusCode", 500), {"message": message}, headers, now=utc_now())


def _arguments(request: ModelRequest) -> dict[str, Any]:
    limits: dict[str, Any] = {"maxTokens": request.max_output_tokens}
    if request.temperature is not None:
        limits["temperature"] = request.temperature
    if request.top_p is not None:
        limits["topP"] = request.top_p
    if request.stop:
        limits["stopSequences"] = list(request.stop)
    arguments: dict[str, Any] = {
        "modelId": request.model,
        "messages": _messages(request),
        "inferenceConfig": limits,
    }
    messages = with_schema_instruction(request)
    system = [{"text": message.content} for message in messages if message.role == "system" and message.content]
    if system:
        arguments["system"] = system
    # Converse has no choice against all tools.
    if request.tools and not (request.tool_choice and request.tool_choice.mode == "none"):
        arguments["toolConfig"] = {"tools": _tools(request), **_tool_choice(request.tool_choice)}
    closed = close_schema(request.response_schema, ANTHROPIC) if request.response_schema is not None else None
    if closed is not None:
        schema = {"name": "answer", "schema": json.dumps(closed)}
        arguments["outputConfig"] = {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": schema}}}
    return arguments


def _messages(request: ModelRequest) -> list[dict[str, Any]]:
    """Return the conversation. Roles must alternate, so consecutive messages of one role are merged."""
    payload: list[dict[str, Any]] = []
    for message in request.messages:
        if message.role == "system":
            continue
        role = "assistant" if message.role == "assistant" else "user"
        if payload and payload[-1]["role"] == role:
            payload[-1]["content"] += _blocks(message, request)
        else:
            payload.append({"role": role, "content": list(_blocks(message, request))})
    return payload


def _blocks(message: Message, request: ModelRequest) -> Generator[Block]:
    if message.role == "tool":
        yield {"toolResult": {"toolUseId": message.tool_call_id, "content": [{"text": message.content}]}}
        return
    if message.parts:
        yield from (_part(part, number) for number, part in enumerate(message.parts, start=1))
        return
    for part in parts_of(message, request, "converse"):
        match part:
            case str():
                yield {"text": part}
            case ToolCall():
                yield {"toolUse": {"toolUseId": part.id, "name": part.name, "input": arguments_of(part)}}
            case {"redactedContent": encoded}:
                yield {"reasoningContent": {"redactedContent": b64decode(encoded)}}
            case reasoning:
                yield {"reasoningContent": {"reasoningText": {"text": "", **reasoning}}}


def _part(part: Part, number: int) -> Block:
    """Return a part. Names of documents are neutral, because they must be unique and may contain few characters."""
    if isinstance(part, str):
        return {"text": part}
    source = {"bytes": b64decode(part.data or "")}
    kind = part.media_type.rpartition("/")[2]
    if part.kind == "image":
        return {"image": {"format": kind, "source": source}}
    return {"document": {"format": kind, "name": f"file {number}", "source": source}}


def _tools(request: ModelRequest) -> list[dict[str, Any]]:
    return [
        {
            "toolSpec": {
                "name": tool.name,
                "inputSchema": {"json": {"type": "object", **tool.parameters}},
                **({"description": tool.description} if tool.description else {}),
            }
        }
        for tool in request.tools
    ]


def _tool_choice(choice: ToolChoice | None) -> dict[str, Any]:
    if choice is None:
        return {}
    if choice.mode == "tool":
        return {"toolChoice": {"tool": {"name": choice.tool}}}
    return {"toolChoice": {"any" if choice.is_forced else "auto": {}}}


def _meters(usage: object) -> Meters:
    cache_read, cache_write = number(usage, "cacheReadInputTokens"), number(usage, "cacheWriteInputTokens")
    return meters(
        tokens_in=number(usage, "inputTokens") + cache_read + cache_write,
        cache_read=cache_read,
        cache_write=cache_write,
        cache_write_1h=number_of_entry(usage, "cacheDetails", "inputTokens", ttl="1h"),
        tokens_out=number(usage, "outputTokens"),
        reasoning=0,
    )
