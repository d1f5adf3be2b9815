"""OpenAI's Chat Completions, which vLLM, Ollama, llama.cpp and most others speak too."""

from collections.abc import Generator, Iterable
from dataclasses import dataclass, field

from openai import OpenAI, OpenAIError, Stream, omit
from openai.types.chat import (
    ChatCompletionChunk,
    ChatCompletionMessageFunctionToolCallParam,
    ChatCompletionMessageParam,
    ChatCompletionToolUnionParam,
)
from openai.types.chat.chat_completion_chunk import ChoiceDeltaToolCall
from openai.types.completion_usage import CompletionUsage
from openai.types.shared_params import ResponseFormatJSONSchema

from services.runs.domain.request import Message, ModelRequest, ToolCall
from services.runs.errors import ProviderFailed, StreamTruncated
from services.runs.gateways.calls import StreamedCalls
from services.runs.gateways.cap import held_to_cap
from services.runs.gateways.counts import meters, number
from services.runs.gateways.faults import told_as_failures
from services.runs.gateways.model import Counted, Ended, Part, Stop, Text, Working
from services.runs.gateways.transport import timeouts
from shared.meters import Meter, Meters

_STOPS = {"length": Stop.LENGTH, "content_filter": Stop.REFUSED}


@dataclass(slots=True)
class _Answer:
    """What has come so far."""

    calls: StreamedCalls = field(default_factory=StreamedCalls)
    finished: str | None = None
    refused: bool = False
    counted: Meters | None = None
    is_whole: bool = False
    """The model has said that it has finished, and then what it took: nothing that comes later can be missed."""

    def take(self, chunk: ChatCompletionChunk) -> Generator[Text | Working]:
        """Keep what the chunk says; its text is passed on."""
        if chunk.usage:
            self.counted = _meters(chunk.usage)
        for choice in chunk.choices or ():
            self.finished = choice.finish_reason or self.finished
            for call in choice.delta.tool_calls or ():
                self._note(call)
            if choice.delta.refusal:
                self.refused = True
            text = choice.delta.content or choice.delta.refusal
            yield Text(text) if text else Working()
        self.is_whole = self.finished is not None and bool(chunk.usage)

    def end(self, uncounted: Meters | None) -> Ended:
        """The terminal part.

        Args:
            uncounted: for an answer that is whole but came without a count; None: then it is not whole.

        Raises:
            StreamTruncated: the answer broke off.
        """
        counted = uncounted if self.counted is None else self.counted
        if self.finished is None or counted is None:
            raise StreamTruncated
        if self.refused or self.finished in _STOPS:
            return Ended(counted, stop=Stop.REFUSED if self.refused else _STOPS[self.finished])
        calls = self.calls.whole()
        return Ended(counted, calls, Stop.TOOL_CALLS if calls else Stop.ANSWERED)

    def _note(self, delta: ChoiceDeltaToolCall) -> None:
        name, arguments = (delta.function.name, delta.function.arguments) if delta.function else (None, None)
        self.calls.add(delta.index, call_id=delta.id, name=name, arguments=arguments or "")


class OpenAiChat:
    """A model that is reached by Chat Completions.

    Args:
        client: of the server.
        official: whether that is OpenAI itself.
    """

    def __init__(self, client: OpenAI, *, official: bool) -> None:
        self._client = client
        self._official = official

    def stream(self, request: ModelRequest) -> Generator[Part]:
        """See `Model.stream`."""
        return held_to_cap(self._stream(request), max_output_tokens=request.max_output_tokens)

    def _stream(self, request: ModelRequest) -> Generator[Part]:
        answer = _Answer()
        try:
            yield from self._parts(request, answer)
        except ProviderFailed:
            if not answer.is_whole:
                raise
        yield answer.end(self._uncounted(request))

    def _parts(self, request: ModelRequest, answer: _Answer) -> Generator[Part]:
        with told_as_failures(OpenAIError), self._open(request) as chunks:
            for chunk in chunks:
                before = answer.counted
                yield from answer.take(chunk)
                if answer.counted is not None and answer.counted != before:
                    yield Counted(answer.counted)

    def _open(self, request: ModelRequest) -> Stream[ChatCompletionChunk]:
        cap = request.max_output_tokens
        return self._client.chat.completions.create(
            model=request.model,
            messages=[_message(message) for message in request.messages],
            # OpenAI's newer models refuse the old name; most other servers know no other.
            max_completion_tokens=cap if self._official else omit,
            max_tokens=omit if self._official else cap,
            temperature=omit if request.temperature is None else request.temperature,
            tools=_tools(request) or omit,
            response_format=_format(request) or omit,
            stream=True,
            stream_options={"include_usage": True},
            timeout=timeouts(request.timeout_s, max_output_tokens=request.max_output_tokens),
        )

    def _uncounted(self, request: ModelRequest) -> Meters | None:
        """Servers may be unable to count a stream: then nobody can know more than the bound."""
        if self._official:
            return None
        return {Meter.TOKENS_UNCERTAIN: request.bound_tokens}


def _message(message: Message) -> ChatCompletionMessageParam:
    match message.role:
        case "system":
            return {"role": "system", "content": message.content}
        case "user":
            return {"role": "user", "content": message.content}
        case "tool":
            return {"role": "tool", "content": message.content, "tool_call_id": message.tool_call_id or ""}
        case "assistant" if message.tool_calls:
            calls = list(_calls(message.tool_calls))
            return {"role": "assistant", "content": message.content or None, "tool_calls": calls}
        case "assistant":
            return {"role": "assistant", "content": message.content}


def _calls(calls: Iterable[ToolCall]) -> Generator[ChatCompletionMessageFunctionToolCallParam]:
    for call in calls:
        yield {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def _tools(request: ModelRequest) -> list[ChatCompletionToolUnionParam]:
    return [
        {
            "type": "function",
            "function": {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)},
        }
        for tool in request.tools
    ]


def _format(request: ModelRequest) -> ResponseFormatJSONSchema | None:
    if request.response_schema is None:
        return None
    schema = dict(request.response_schema)
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}


def _meters(usage: CompletionUsage) -> Meters:
    return meters(
        tokens_in=number(usage, "prompt_tokens"),
        cache_read=number(usage, "prompt_tokens_details", "cached_tokens"),
        cache_write=number(usage, "prompt_tokens_details", "cache_write_tokens"),
        tokens_out=number(usage, "completion_tokens"),
        reasoning=number(usage, "completion_tokens_details", "reasoning_tokens"),
    )
