"""The built-in provider: deterministic, free, and honest about being simulated.

Directives in the last user message, so that anything can be tried without a key:

    [[tokens 500]]       the answer's length
    [[delay 200]]        milliseconds before each chunk, at most 10 s
    [[tool NAME {json}]] a call of that tool, unless its output is there already
    [[error 429]]        an answer with that status instead
    [[cut]]              a stream that breaks off after its first chunk
"""

import json
import re
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass

from services.runs.domain.request import Message, ModelRequest, ToolCall
from services.runs.errors import StreamTruncated
from services.runs.gateways.answers import timed_out
from services.runs.gateways.failures import of_status
from services.runs.gateways.model import Counted, Ended, Part, Stop, Text
from shared.meters import Meter, Meters

_BYTES_PER_TOKEN = 4
_TOKENS_PER_CHUNK = 16
_LONGEST_DELAY_MS = 10_000
_NUMBER = re.compile(r"\[\[(tokens|delay|error) (\d{1,6})\]\]")
_TOOL = re.compile(r"\[\[tool ([a-zA-Z0-9_-]{1,64}) (?=\{)")
_READ = json.JSONDecoder().raw_decode
_MOST_TOOLS = 1_000
"""What comes after so many is not read: to say where JSON is broken takes as long as all that comes before it."""
_CUT, _END = "[[cut]]", "]]"
_FILLER = ("and", "so", "it", "goes", "on", "word", "by", "word")


class SimulatedModel:
    """Answers without any model."""

    def __init__(self, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._sleep = sleep

    def stream(self, request: ModelRequest) -> Generator[Part]:
        """See `Model.stream`; a token is a word here.

        Raises:
            ProviderFailed: the message asks for it.
        """
        asked = next((message.content for message in reversed(request.messages) if message.role == "user"), "")
        numbers = {name: int(value) for name, value in _NUMBER.findall(asked)}
        if "error" in numbers:
            raise of_status(numbers["error"], "The message asks for this error.")
        counted = {Meter.TOKENS_IN: -(-_bytes_of(request.messages) // _BYTES_PER_TOKEN)}
        yield Counted(counted)
        calls = _tool_calls(asked, request.messages)
        if calls:
            yield _asking(calls, counted, cap=request.max_output_tokens)
            return
        words = _answer(asked, tokens=numbers.get("tokens"))
        said = words[: request.max_output_tokens]
        pause_s = min(numbers.get("delay", 0), _LONGEST_DELAY_MS) / 1000
        yield from self._chunks(said, pause_s=pause_s, cut=_CUT in asked, timeout_s=request.timeout_s)
        stop = Stop.LENGTH if len(said) < len(words) else Stop.ANSWERED
        yield Ended({**counted, Meter.TOKENS_OUT: len(said)}, stop=stop)

    def _chunks(self, words: Sequence[str], *, pause_s: float, cut: bool, timeout_s: float) -> Iterator[Text]:
        for start in range(0, len(words), _TOKENS_PER_CHUNK):
            if cut and start:
                break
            timeout_s -= pause_s
            if timeout_s < 0:
                raise timed_out()
            if pause_s:
                self._sleep(pause_s)
            chunk = " ".join(words[start : start + _TOKENS_PER_CHUNK])
            yield Text(chunk if start == 0 else f" {chunk}")
        if cut:
            raise StreamTruncated


def _asking(calls: tuple[ToolCall, ...], counted: Meters, *, cap: int) -> Ended:
    """Return the end of an answer that asks for tools; one that the cap cuts off asks for none, as elsewhere."""
    written = sum(len(call.arguments.split()) for call in calls)
    if written > cap:
        return Ended({**counted, Meter.TOKENS_OUT: cap}, stop=Stop.LENGTH)
    return Ended({**counted, Meter.TOKENS_OUT: written}, calls, Stop.TOOL_CALLS)


def _answer(asked: str, *, tokens: int | None) -> list[str]:
    heard = _NUMBER.sub("", _without_tools(asked)).replace(_CUT, "").strip()
    words = f"This is a simulated answer. You said: {heard}".split()
    if tokens is None:
        return words
    filler = (_FILLER[place % len(_FILLER)] for place in range(max(0, tokens - len(words))))
    return [*words, *filler][:tokens]


def _tool_calls(asked: str, messages: Sequence[Message]) -> tuple[ToolCall, ...]:
    """The calls that the message asks for and that have no output yet."""
    answered = {message.tool_call_id for message in messages if message.role == "tool"}
    calls = (ToolCall(f"call_{place}", tool.name, tool.arguments) for place, tool in enumerate(_tools(asked), start=1))
    return tuple(call for call in calls if call.id not in answered)


@dataclass(frozen=True, slots=True)
class _Tool:
    """A directive, and where it stands."""

    start: int
    end: int
    name: str
    arguments: str


def _without_tools(asked: str) -> str:
    kept, place = list[str](), 0
    for tool in _tools(asked):
        kept.append(asked[place : tool.start])
        place = tool.end
    return "".join(kept) + asked[place:]


def _tools(asked: str) -> Iterator[_Tool]:
    """The directives of tools; what is no JSON is none."""
    place = 0
    for _ in range(_MOST_TOOLS):
        found = _TOOL.search(asked, place)
        if found is None:
            return
        place = found.end()
        try:
            _, end = _READ(asked, place)
        except (ValueError, RecursionError):
            continue
        if asked.startswith(_END, end):
            yield _Tool(found.start(), end + len(_END), found[1], asked[place:end])
            place = end


def _bytes_of(messages: Sequence[Message]) -> int:
    return sum(len(message.content.encode()) for message in messages)
