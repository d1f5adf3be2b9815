"""OpenAI's Responses API: how models are reached at OpenAI itself."""

from collections.abc import Generator, Sequence

from openai import OpenAI, OpenAIError, Stream, omit
from openai.types.responses import (
    FunctionToolParam,
    Response,
    ResponseFunctionToolCall,
    ResponseInputItemParam,
    ResponseStreamEvent,
    ResponseTextConfigParam,
)

from services.runs.domain.request import Message, ModelRequest, ToolCall
from services.runs.errors import ProviderFailed, StreamTruncated
from services.runs.gateways.answers import of_event
from services.runs.gateways.calls import MAX_STREAMED_CALLS
from services.runs.gateways.cap import held_to_cap
from services.runs.gateways.counts import meters, number
from services.runs.gateways.faults import told_as_failures
from services.runs.gateways.model import Counted, Ended, Part, Stop, Text, Working
from services.runs.gateways.transport import timeouts
from shared.meters import Meters


class OpenAiResponses:
    """A model that is reached by the Responses API."""

    def __init__(self, client: OpenAI) -> None:
        self._client = client

    def stream(self, request: ModelRequest) -> Generator[Part]:
        """See `Model.stream`."""
        return held_to_cap(self._stream(request), max_output_tokens=request.max_output_tokens)

    def _stream(self, request: ModelRequest) -> Generator[Part]:
        with told_as_failures(OpenAIError), self._open(request) as events:
            yield from _read(events)

    def _open(self, request: ModelRequest) -> Stream[ResponseStreamEvent]:
        return self._client.responses.create(
            model=request.model,
            input=[item for message in request.messages for item in _items(message)],
            max_output_tokens=request.max_output_tokens,
            temperature=omit if request.temperature is None else request.temperature,
            tools=_tools(request) or omit,
            text=_text(request) or omit,
            # The conversation is kept here and nowhere else.
            store=False,
            stream=True,
            timeout=timeouts(request.timeout_s, max_output_tokens=request.max_output_tokens),
        )


def _read(events: Stream[ResponseStreamEvent]) -> Generator[Part]:
    calls: list[ResponseFunctionToolCall] = []
    refused = False
    for event in events:
        match event.type:
            case "response.output_text.delta":
                yield Text(event.delta)
            case "response.refusal.delta":
                refused = True
                yield Text(event.delta)
            case "response.output_item.done" if isinstance(event.item, ResponseFunctionToolCall):
                # Of more calls than any answer has, the first ones tell as much.
                calls += [event.item] if len(calls) <= MAX_STREAMED_CALLS else []
            case "response.completed" | "response.incomplete":
                yield _ended(event.response, calls, refused=refused)
                return
            case "response.failed":
                yield from _failed(event.response)
            case "error":
                raise of_event(event.code, {"message": event.message})
            case _:
                yield Working()
    raise StreamTruncated


def _ended(response: Response, streamed: Sequence[ResponseFunctionToolCall], *, refused: bool) -> Ended:
    """The terminal part.

    Raises:
        StreamTruncated: nothing was counted.
    """
    if response.usage is None:
        raise StreamTruncated
    counted = _meters(response)
    if refused:
        return Ended(counted, stop=Stop.REFUSED)
    if response.status == "incomplete":
        reason = response.incomplete_details.reason if response.incomplete_details else None
        return Ended(counted, stop=Stop.REFUSED if reason == "content_filter" else Stop.LENGTH)
    calls = tuple(
        ToolCall(item.call_id, item.name, item.arguments or "{}")
        for item in response.output or streamed
        if isinstance(item, ResponseFunctionToolCall)
    )
    return Ended(counted, calls, Stop.TOOL_CALLS if calls else Stop.ANSWERED)


def _failed(response: Response) -> Generator[Counted]:
    """A failure that may have been counted.

    Raises:
        ProviderFailed: always.
    """
    if response.usage:
        yield Counted(_meters(response))
    code, message = (response.error.code, response.error.message) if response.error else (None, None)
    failure: ProviderFailed = of_event(code, {"message": message}, usage_known=response.usage is not None)
    raise failure


def _meters(response: Response) -> Meters:
    usage = response.usage
    return meters(
        tokens_in=number(usage, "input_tokens"),
        cache_read=number(usage, "input_tokens_details", "cached_tokens"),
        cache_write=number(usage, "input_tokens_details", "cache_write_tokens"),
        tokens_out=number(usage, "output_tokens"),
        reasoning=number(usage, "output_tokens_details", "reasoning_tokens"),
    )


def _items(message: Message) -> Generator[ResponseInputItemParam]:
    if message.role == "tool":
        yield {"type": "function_call_output", "call_id": message.tool_call_id or "", "output": message.content}
        return
    if message.content or not message.tool_calls:
        yield {"role": message.role, "content": message.content}
    for call in message.tool_calls:
        yield {"type": "function_call", "call_id": call.id, "name": call.name, "arguments": call.arguments}


def _tools(request: ModelRequest) -> list[FunctionToolParam]:
    return [
        {
            "type": "function",
            "name": tool.name,
            "description": tool.description,
            "parameters": dict(tool.parameters),
            # Any JSON Schema is allowed, not only those that OpenAI can hold a model to.
            "strict": False,
        }
        for tool in request.tools
    ]


def _text(request: ModelRequest) -> ResponseTextConfigParam | None:
    if request.response_schema is None:
        return None
    schema = dict(request.response_schema)
    return {"format": {"type": "json_schema", "name": "answer", "schema": schema, "strict": True}}
