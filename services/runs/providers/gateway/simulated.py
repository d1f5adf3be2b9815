"""The built-in provider: deterministic, free, and marked as simulated.

Directives in the last user message allow trying everything without a key, see docs/guides/simulation.md:

    [[tokens 500]]       the length of an answer without a schema
    [[delay 200]]        milliseconds before each chunk, at most 10 s
    [[tool NAME {json}]] a call of that tool, unless its output is in the conversation
    [[tool NAME]]        the same, with arguments that fit the tool's parameters
    [[usage {json}]]     the reported usage
    [[finish length]]    an answer that stops at an output cap
    [[error 429]]        a failure with that status instead of an answer
    [[cut]]              a stream that breaks off after its first chunk

The parameters `stop`, `tool_choice` and `parallel_tool_calls` have their effect; the others change nothing.
"""

import re
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass

from services.runs.errors import StreamTruncated
from services.runs.providers.domain.directives import Directives, RequestedCall, directives_of
from services.runs.providers.domain.instances import NoInstance, arguments_of, instance_of
from services.runs.providers.domain.media_bounds import media_in
from services.runs.providers.domain.model import StopReason, StreamEnd, StreamPart, TextDelta, UsageUpdate
from services.runs.providers.domain.request import ModelRequest
from services.runs.providers.gateway import counts
from services.runs.providers.gateway.failures import timed_out
from services.runs.providers.gateway.statuses import of_status
from services.runs.runs.domain.conversation import Message, ToolCall
from shared.meters import Meter, Meters

_BYTES_PER_TOKEN = 4
_MEDIA_TOKENS = 100
"""The input tokens of an image or a file."""
_TOKENS_PER_CHUNK = 16
_OUTPUT_CHARS = 1_000
"""The part of a tool's output that is repeated in the answer, in characters."""
_FILLER = ("and", "so", "it", "goes", "on", "word", "by", "word")
_JSON_TOKEN = re.compile(r"\s*\S+")


@dataclass(frozen=True, slots=True)
class _Answer:
    """An answer before its cap is applied."""

    pieces: Sequence[str] = ()
    """The text, token by token. A token is a word, with the space before it."""
    calls: tuple[ToolCall, ...] = ()

    @property
    def tokens(self) -> int:
        return len(self.pieces) + sum(len(call.arguments.split()) for call in self.calls)


class SimulatedModel:
    """A model that answers without a provider."""

    def __init__(self, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._sleep = sleep

    def stream(self, request: ModelRequest) -> Generator[StreamPart]:
        """Stream the simulated answer, see `Model.stream`.

        Raises:
            ProviderFailed: the message requests an error, or no value fits a schema of the request.
        """
        directives = directives_of(request.messages)
        if directives.error is not None:
            raise of_status(directives.error, "The message asks for this error.")
        answer = _answer(directives, request)
        yield UsageUpdate({Meter.TOKENS_IN: _usage(directives, request, tokens_out=0)[Meter.TOKENS_IN]})
        cap = _cap(answer, directives, request)
        if answer.calls:
            calls = answer.calls if answer.tokens <= cap else ()
            stop = StopReason.TOOL_CALLS if calls else StopReason.LENGTH
            yield StreamEnd(_usage(directives, request, tokens_out=min(answer.tokens, cap)), calls, stop)
            return
        payload = answer.pieces[:cap]
        yield from self._chunks(payload, directives, timeout_s=request.timeout_s)
        is_cut = len(payload) < len(answer.pieces) or directives.finishes_by_length
        stop = StopReason.LENGTH if is_cut else StopReason.ANSWERED
        yield StreamEnd(_usage(directives, request, tokens_out=len(payload)), stop=stop)

    def _chunks(self, pieces: Sequence[str], directives: Directives, *, timeout_s: float) -> Iterator[TextDelta]:
        pause_s = directives.delay_ms / 1000
        for start in range(0, len(pieces), _TOKENS_PER_CHUNK):
            if directives.cut and start:
                break
            timeout_s -= pause_s
            if timeout_s < 0:
                raise timed_out()
            if pause_s:
                self._sleep(pause_s)
            yield TextDelta("".join(pieces[start : start + _TOKENS_PER_CHUNK]))
        if directives.cut:
            raise StreamTruncated


def _answer(directives: Directives, request: ModelRequest) -> _Answer:
    calls = _calls(directives, request)
    if calls:
        return _Answer(calls=calls)
    if request.response_schema is None:
        return _Answer(_text_pieces(directives, request))
    try:
        return _Answer(_JSON_TOKEN.findall(instance_of(request.response_schema)))
    except NoInstance as error:
        raise of_status(400, f"The response schema {error}.") from error


def _cap(answer: _Answer, directives: Directives, request: ModelRequest) -> int:
    """Return the output cap; an answer that stops by length has half of its tokens, unless their number is given."""
    if directives.finishes_by_length and (answer.calls or directives.tokens is None):
        return min(request.max_output_tokens, answer.tokens // 2)
    return request.max_output_tokens


def _usage(directives: Directives, request: ModelRequest, *, tokens_out: int) -> Meters:
    """Return the usage, with the counts of the directive; it never exceeds what is reserved for the call."""
    text_bytes = sum(len(message.content.encode()) for message in request.messages)
    media = len(media_in(request.messages)) * _MEDIA_TOKENS
    counted = {
        Meter.TOKENS_IN: -(-text_bytes // _BYTES_PER_TOKEN) + media,
        Meter.TOKENS_OUT: tokens_out,
    }
    usage = {**counted, **directives.usage}
    tokens_in, cap = min(usage[Meter.TOKENS_IN], request.input_bound_tokens), request.max_output_tokens
    cache_read = min(usage.get(Meter.TOKENS_CACHE_READ, 0), request.input_bound_tokens)
    return counts.meters(
        tokens_in=tokens_in,
        cache_read=cache_read,
        cache_write=min(usage.get(Meter.TOKENS_CACHE_WRITE, 0), request.input_bound_tokens - cache_read),
        tokens_out=min(usage[Meter.TOKENS_OUT], cap),
        reasoning=min(usage.get(Meter.TOKENS_REASONING, 0), cap),
    )


def _text_pieces(directives: Directives, request: ModelRequest) -> list[str]:
    text = f"This is a simulated answer. You said: {directives.text}{_outputs(request.messages)}"
    words = text.split()
    if directives.tokens is not None:
        missing = max(0, directives.tokens - len(words))
        words = [*words, *(_FILLER[index % len(_FILLER)] for index in range(missing))][: directives.tokens]
    return _until_stop([*words[:1], *(f" {word}" for word in words[1:])], request.stop)


def _until_stop(pieces: list[str], stop: Sequence[str]) -> list[str]:
    """Return the pieces before the first of these texts."""
    text = "".join(pieces)
    ends = [place for place in map(text.find, stop) if place >= 0]
    if not ends:
        return pieces
    kept, chars = list[str](), min(ends)
    for piece in pieces:
        kept.append(piece[:chars])
        chars -= len(piece)
        if chars <= 0:
            break
    return [piece for piece in kept if piece.strip()]


def _outputs(messages: Sequence[Message]) -> str:
    """Return a sentence for each output of a tool since the last message of the user."""
    names = {call.id: call.name for message in messages for call in message.tool_calls}
    sentences = list[str]()
    for message in reversed(messages):
        if message.role == "user":
            break
        if message.role == "tool":
            name = names.get(message.tool_call_id or "", "tool")
            sentences.append(f" {name} returned: {message.content[:_OUTPUT_CHARS]}")
    return "".join(reversed(sentences))


def _calls(directives: Directives, request: ModelRequest) -> tuple[ToolCall, ...]:
    """Return the requested calls without an output in the conversation, within the limits of the parameters."""
    if request.tool_choice and request.tool_choice.mode == "none":
        return ()
    answered = {message.tool_call_id for message in request.messages if message.role == "tool"}
    calls = tuple(
        ToolCall(f"call_{index}", call.name, _arguments(call, request))
        for index, call in enumerate(_requested(directives, request), start=1)
        if f"call_{index}" not in answered
    )
    return calls[:1] if request.parallel_tool_calls is False else calls


def _requested(directives: Directives, request: ModelRequest) -> Sequence[RequestedCall]:
    """Return the calls of the directives. A forced choice of a tool that they do not call adds a call of it."""
    choice = request.tool_choice
    if choice is None or not choice.is_forced or not request.tools:
        return directives.calls
    names = {choice.tool} if choice.tool else {tool.name for tool in request.tools}
    fitting = tuple(call for call in directives.calls if call.name in names)
    return fitting or (RequestedCall(choice.tool or request.tools[0].name, None),)


def _arguments(call: RequestedCall, request: ModelRequest) -> str:
    if call.arguments is not None:
        return call.arguments
    parameters = next((tool.parameters for tool in request.tools if tool.name == call.name), None)
    if not parameters:
        return "{}"
    try:
        return arguments_of(parameters)
    except NoInstance as error:
        raise of_status(400, f"The schema of the parameters of {call.name} {error}.") from error
