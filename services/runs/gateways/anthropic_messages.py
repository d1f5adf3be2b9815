"""Anthropic's Messages API."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field

from anthropic import Anthropic, AnthropicError, Stream, omit
from anthropic.types import (
    MessageDeltaUsage,
    MessageParam,
    OutputConfigParam,
    RawMessageStreamEvent,
    TextBlockParam,
    ToolParam,
    ToolResultBlockParam,
    ToolUseBlockParam,
    Usage,
)

from services.runs.domain.request import Message, ModelRequest
from services.runs.errors import ProviderFailed, StreamTruncated
from services.runs.gateways.calls import StreamedCalls, arguments_of
from services.runs.gateways.cap import held_to_cap
from services.runs.gateways.counts import has, meters, number
from services.runs.gateways.faults import told_as_failures
from services.runs.gateways.model import Counted, Ended, Part, Stop, Text, Working
from services.runs.gateways.transport import timeouts
from shared.meters import Meter, Meters

_STOPS = {
    "max_tokens": Stop.LENGTH,
    "model_context_window_exceeded": Stop.LENGTH,
    "refusal": Stop.REFUSED,
    "tool_use": Stop.TOOL_CALLS,
}
_INPUTS = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


@dataclass(slots=True)
class _Answer:
    """What has come so far."""

    calls: StreamedCalls = field(default_factory=StreamedCalls)
    inputs: dict[str, int] = field(default_factory=dict[str, int])
    counted: Meters = field(default_factory=dict[Meter, int])
    stopped: str | None = None
    is_counted: bool = False
    """The model has said why it stopped, and with it what it took in all."""

    def take(self, event: RawMessageStreamEvent) -> Generator[Part]:
        """Keep what the event says; its text and counts are passed on."""
        match event.type:
            case "message_start":
                yield self._count(event.message.usage)
            case "content_block_start" if event.content_block.type == "tool_use":
                self.calls.add(event.index, call_id=event.content_block.id, name=event.content_block.name)
            case "content_block_delta" if event.delta.type == "text_delta":
                yield Text(event.delta.text)
            case "content_block_delta" if event.delta.type == "input_json_delta":
                self.calls.add(event.index, arguments=event.delta.partial_json)
                yield Working()
            case "message_delta":
                self.stopped = event.delta.stop_reason or self.stopped
                if has(event.usage, "output_tokens"):
                    self.is_counted = self.stopped is not None
                    yield self._count(event.usage)
            case _:
                yield Working()

    def end(self, uncounted: Meters) -> Ended:
        """The terminal part.

        Args:
            uncounted: for an answer that is whole but came without a count, as compatible servers may send it.

        Raises:
            StreamTruncated: the model did not say why it stopped.
        """
        if self.stopped is None:
            raise StreamTruncated
        stop = _STOPS.get(self.stopped, Stop.ANSWERED)
        counted = self.counted if self.is_counted else uncounted
        return Ended(counted, self.calls.whole() if stop is Stop.TOOL_CALLS else (), stop)

    def _count(self, usage: Usage | MessageDeltaUsage) -> Counted:
        """Counts are totals so far; the later ones leave out what has not changed."""
        for name in _INPUTS:
            self.inputs[name] = number(usage, name) or self.inputs.get(name, 0)
        cache_read, cache_write = self.inputs["cache_read_input_tokens"], self.inputs["cache_creation_input_tokens"]
        self.counted = meters(
            tokens_in=self.inputs["input_tokens"] + cache_read + cache_write,
            cache_read=cache_read,
            cache_write=cache_write,
            tokens_out=number(usage, "output_tokens"),
            reasoning=number(usage, "output_tokens_details", "thinking_tokens"),
        )
        return Counted(self.counted)


class AnthropicMessages:
    """A model that is reached by the Messages API."""

    def __init__(self, client: Anthropic) -> None:
        self._client = client

    def stream(self, request: ModelRequest) -> Generator[Part]:
        """See `Model.stream`."""
        return held_to_cap(self._stream(request), max_output_tokens=request.max_output_tokens)

    def _stream(self, request: ModelRequest) -> Generator[Part]:
        answer = _Answer()
        try:
            yield from self._parts(request, answer)
        except ProviderFailed as failure:
            failure.usage_known |= answer.is_counted
            raise

    def _parts(self, request: ModelRequest, answer: _Answer) -> Generator[Part]:
        with told_as_failures(AnthropicError), self._open(request) as events:
            for event in events:
                if event.type == "message_stop":
                    yield answer.end({Meter.TOKENS_UNCERTAIN: request.bound_tokens})
                    return
                yield from answer.take(event)
            raise StreamTruncated

    def _open(self, request: ModelRequest) -> Stream[RawMessageStreamEvent]:
        return self._client.messages.create(
            model=request.model,
            max_tokens=request.max_output_tokens,
            messages=_messages(request.messages),
            system=_system(request) or omit,
            tools=_tools(request) or omit,
            output_config=_output(request) or omit,
            # The SDK has no argument for it since 1.0; the API still takes it, where the model does.
            extra_body=None if request.temperature is None else {"temperature": request.temperature},
            stream=True,
            timeout=timeouts(request.timeout_s, max_output_tokens=request.max_output_tokens),
        )


def _messages(messages: Sequence[Message]) -> list[MessageParam]:
    """The conversation; the outputs of one turn's tools belong into one message."""
    said: list[MessageParam] = []
    outputs: list[ToolResultBlockParam] = []
    for message in messages:
        if message.role == "tool":
            if not outputs:
                said.append({"role": "user", "content": outputs})
            outputs.append(
                {"type": "tool_result", "tool_use_id": message.tool_call_id or "", "content": message.content}
            )
            continue
        outputs = []
        if message.role == "user":
            said.append({"role": "user", "content": message.content})
        elif message.role == "assistant":
            said.append({"role": "assistant", "content": _blocks(message)})
    return said


def _blocks(message: Message) -> list[TextBlockParam | ToolUseBlockParam]:
    """An assistant's message; empty text is not allowed."""
    text: list[TextBlockParam] = [{"type": "text", "text": message.content}] if message.content else []
    uses: list[ToolUseBlockParam] = [
        {"type": "tool_use", "id": call.id, "name": call.name, "input": arguments_of(call)}
        for call in message.tool_calls
    ]
    return [*text, *uses]


def _system(request: ModelRequest) -> list[TextBlockParam]:
    return [
        {"type": "text", "text": message.content}
        for message in request.messages
        if message.role == "system" and message.content
    ]


def _tools(request: ModelRequest) -> list[ToolParam]:
    return [
        {"name": tool.name, "description": tool.description, "input_schema": {"type": "object", **tool.parameters}}
        for tool in request.tools
    ]


def _output(request: ModelRequest) -> OutputConfigParam | None:
    if request.response_schema is None:
        return None
    return {"format": {"type": "json_schema", "schema": dict(request.response_schema)}}
