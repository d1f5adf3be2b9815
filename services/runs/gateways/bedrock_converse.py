"""Amazon Bedrock's Converse API, with the function's own role."""

import json
import time
from collections.abc import Callable, Generator, Mapping, Sequence
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

from services.runs.domain.request import Message, ModelRequest
from services.runs.errors import ProviderFailed, StreamTruncated
from services.runs.gateways.answers import broken_off, corrupt, of_answer, of_event, timed_out, unreachable
from services.runs.gateways.calls import StreamedCalls, arguments_of
from services.runs.gateways.cap import held_to_cap
from services.runs.gateways.counts import meters, number
from services.runs.gateways.model import Counted, Ended, Part, Stop, Text, Working
from shared.meters import Meters
from shared.times import utc_now

_CLIENTS = 8
"""Kept; each has one timeout, and agents name few."""
_STOPS = {
    "max_tokens": Stop.LENGTH,
    "model_context_window_exceeded": Stop.LENGTH,
    "tool_use": Stop.TOOL_CALLS,
    "guardrail_intervened": Stop.REFUSED,
    "content_filtered": Stop.REFUSED,
}
_UNREADABLE = (ParserError, ResponseParserError, ValueError, TypeError, KeyError)
_MEANINGS: tuple[tuple[tuple[type[Exception], ...], Callable[[], ProviderFailed]], ...] = (
    ((EndpointConnectionError, ConnectTimeoutError), unreachable),
    ((ReadTimeoutError, StreamReadTimeoutError), timed_out),
    ((HTTPClientError, HTTPError, OSError), broken_off),
    (_UNREADABLE, corrupt),
)
_MALFORMED = frozenset({"malformed_model_output", "malformed_tool_use"})


@dataclass(slots=True)
class _Answer:
    """What has come so far."""

    calls: StreamedCalls = field(default_factory=StreamedCalls)
    stopped: str | None = None

    def take(self, event: Mapping[str, Any]) -> Generator[Part]:
        """Keep what the event says; its text, and at last its count, are passed on.

        Raises:
            ProviderFailed: the model's answer made no sense to Bedrock itself.
        """
        match event:
            case {"contentBlockStart": {"contentBlockIndex": place, "start": {"toolUse": use}}}:
                self.calls.add(place, call_id=use["toolUseId"], name=use["name"])
            case {"contentBlockDelta": {"delta": {"text": text}}}:
                yield Text(text)
            case {"contentBlockDelta": {"contentBlockIndex": place, "delta": {"toolUse": use}}}:
                self.calls.add(place, arguments=use["input"])
                yield Working()
            case {"contentBlockDelta": block} if "delta" not in block:
                # botocore gives an event that it cannot read as one without content.
                raise corrupt()
            case {"messageStop": {"stopReason": reason}}:
                self.stopped = reason
            case {"metadata": {"usage": usage}} if self.stopped is not None:
                yield from self._end(_meters(usage), self.stopped)
            case _:
                yield Working()

    def _end(self, counted: Meters, stopped: str) -> Generator[Counted | Ended]:
        if stopped in _MALFORMED:
            yield Counted(counted)
            raise corrupt(usage_known=True)
        stop = _STOPS.get(stopped, Stop.ANSWERED)
        yield Ended(counted, self.calls.whole() if stop is Stop.TOOL_CALLS else (), stop)


class BedrockConverse:
    """A model that is reached by Converse.

    Args:
        client: makes a `bedrock-runtime` client that waits so many seconds for an answer and never tries again.
    """

    def __init__(self, client: Callable[[float], Any]) -> None:
        self._client = lru_cache(_CLIENTS)(client)

    def stream(self, request: ModelRequest) -> Generator[Part]:
        """See `Model.stream`."""
        return held_to_cap(self._stream(request), max_output_tokens=request.max_output_tokens)

    def _stream(self, request: ModelRequest) -> Generator[Part]:
        ends_at = time.monotonic() + request.timeout_s
        with _told_as_failures():
            events = self._client(request.timeout_s).converse_stream(**_arguments(request))["stream"]
            with closing(events):
                yield from _read(events, ends_at)


def _read(events: Any, ends_at: float) -> Generator[Part]:  # noqa: ANN401 — botocore's streams have no static type
    answer = _Answer()
    for event in _until(ends_at, events):
        for part in answer.take(event):
            yield part
            if isinstance(part, Ended):
                return
    raise StreamTruncated


def _until(ends_at: float, events: Any) -> Generator[Mapping[str, Any]]:  # noqa: ANN401 — as above
    """The events, for as long as the whole call may take: botocore's timeout begins anew with each read."""
    waiting = iter(events)
    while True:
        left = ends_at - time.monotonic()
        if left <= 0:
            raise timed_out()
        # A stream that was read to its end has no socket any more.
        with suppress(AttributeError):
            set_socket_timeout(events._raw_stream, left)
        event = next(waiting, None)
        if event is None:
            return
        yield event


@contextmanager
def _told_as_failures() -> Generator[None]:
    """Whatever breaks in this block is told as a failure of the provider."""
    try:
        yield
    except (BotoCoreError, ClientError, HTTPError, OSError, *_UNREADABLE) as error:
        raise _failure(error) from None


def _failure(error: Exception) -> ProviderFailed:
    if isinstance(error, EventStreamError):
        found = error.response.get("Error", {})
        return of_event(found.get("Code"), {"message": found.get("Message")})
    if isinstance(error, ClientError):
        return _of_status(error)
    for kinds, meaning in _MEANINGS:
        if isinstance(error, kinds):
            return meaning()
    # What is left went wrong here, before anything was sent.
    message = f"The request cannot be sent to Bedrock: {type(error).__name__}."
    return ProviderFailed("ProviderNotConfigured", message)


def _of_status(error: ClientError) -> ProviderFailed:
    answered = error.response.get("ResponseMetadata", {})
    message = error.response.get("Error", {}).get("Message")
    headers = answered.get("HTTPHeaders", {})
    return of_answer(answered.get("HTTPStatusCode", 500), {"message": message}, headers, now=utc_now())


def _arguments(request: ModelRequest) -> dict[str, Any]:
    limits: dict[str, Any] = {"maxTokens": request.max_output_tokens}
    if request.temperature is not None:
        limits["temperature"] = request.temperature
    arguments: dict[str, Any] = {
        "modelId": request.model,
        "messages": _messages(request.messages),
        "inferenceConfig": limits,
    }
    system = [{"text": message.content} for message in request.messages if message.role == "system" and message.content]
    if system:
        arguments["system"] = system
    if request.tools:
        arguments["toolConfig"] = {"tools": _tools(request)}
    if request.response_schema is not None:
        schema = {"name": "answer", "schema": json.dumps(request.response_schema)}
        arguments["outputConfig"] = {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": schema}}}
    return arguments


def _messages(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """The conversation; roles must alternate, so what one side says in a row is one message."""
    said: list[dict[str, Any]] = []
    for message in messages:
        if message.role == "system":
            continue
        role = "assistant" if message.role == "assistant" else "user"
        if said and said[-1]["role"] == role:
            said[-1]["content"] += _blocks(message)
        else:
            said.append({"role": role, "content": _blocks(message)})
    return said


def _blocks(message: Message) -> list[dict[str, Any]]:
    if message.role == "tool":
        return [{"toolResult": {"toolUseId": message.tool_call_id, "content": [{"text": message.content}]}}]
    text: list[dict[str, Any]] = [{"text": message.content}] if message.content else []
    return [
        *text,
        *(
            {"toolUse": {"toolUseId": call.id, "name": call.name, "input": arguments_of(call)}}
            for call in message.tool_calls
        ),
    ]


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


def _meters(usage: object) -> Meters:
    cache_read, cache_write = number(usage, "cacheReadInputTokens"), number(usage, "cacheWriteInputTokens")
    return meters(
        tokens_in=number(usage, "inputTokens") + cache_read + cache_write,
        cache_read=cache_read,
        cache_write=cache_write,
        tokens_out=number(usage, "outputTokens"),
        reasoning=0,
    )
