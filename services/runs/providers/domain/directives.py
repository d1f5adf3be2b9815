"""Directives in a message, by which a client controls the simulated provider."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from services.runs.runs.domain.conversation import Message
from shared.meters import Meter, Meters

MAX_DELAY_MS = 10_000
MAX_USAGE_TOKENS = 1_000_000
"""The maximum of each count in a usage directive; higher counts are lowered to it."""
_NUMBER = re.compile(r"\[\[(tokens|delay|error) (\d{1,6})\]\]")
_FLAG = re.compile(r"\[\[(cut|finish length)\]\]")
_USAGE = re.compile(r"\[\[usage (\{[^{}\[\]]{0,300}\})\]\]")
_TOOL = re.compile(r"\[\[tool ([a-zA-Z0-9_-]{1,64})(?:(?P<end>\]\])| (?=\{))")
_END = "]]"
_READ = json.JSONDecoder().raw_decode
_MAX_TOOLS = 1_000
"""Further directives are ignored: reporting the position of invalid JSON takes time in proportion to the text before
it."""
_METERS = frozenset(
    {
        Meter.TOKENS_IN,
        Meter.TOKENS_OUT,
        Meter.TOKENS_CACHE_READ,
        Meter.TOKENS_CACHE_WRITE,
        Meter.TOKENS_REASONING,
    }
)
"""The meters that a usage directive can set."""


@dataclass(frozen=True, slots=True)
class RequestedCall:
    """A tool call that a message requests."""

    name: str
    arguments: str | None
    """JSON as it was written; None: any arguments that fit the tool's schema."""


@dataclass(frozen=True, slots=True)
class Directives:
    """The directives of one message."""

    text: str
    """The message without its directives."""
    tokens: int | None = None
    delay_ms: int = 0
    error: int | None = None
    """The HTTP status of the failure."""
    cut: bool = False
    finishes_by_length: bool = False
    usage: Meters = field(default_factory=dict[Meter, int])
    """The reported counts, of which those that are missing are counted as usual."""
    calls: tuple[RequestedCall, ...] = ()


def directives_of(messages: Sequence[Message]) -> Directives:
    """Return the directives of the last message of the user. An invalid directive is part of the text."""
    prompt = _prompt(messages)
    if "[[" not in prompt:
        return Directives(prompt.strip())
    tools = list(_tools(prompt))
    text = _without(prompt, tools)
    numbers = {name: int(value) for name, value in _NUMBER.findall(text)}
    flags = set(_FLAG.findall(text))
    usage = _usage(prompt)
    text = _FLAG.sub("", _NUMBER.sub("", text))
    return Directives(
        text=(_USAGE.sub("", text) if usage else text).strip(),
        tokens=numbers.get("tokens"),
        delay_ms=min(numbers.get("delay", 0), MAX_DELAY_MS),
        error=numbers.get("error"),
        cut="cut" in flags,
        finishes_by_length="finish length" in flags,
        usage=usage,
        calls=tuple(tool.call for tool in tools),
    )


def reported_input_tokens(messages: Sequence[Message]) -> int:
    """Return the input tokens that a usage directive makes the simulated provider report; 0 without one."""
    usage = _usage(_prompt(messages))
    cached = usage.get(Meter.TOKENS_CACHE_READ, 0) + usage.get(Meter.TOKENS_CACHE_WRITE, 0)
    return max(usage.get(Meter.TOKENS_IN, 0), cached)


def _prompt(messages: Sequence[Message]) -> str:
    return next((message.content for message in reversed(messages) if message.role == "user"), "")


def _usage(prompt: str) -> Meters:
    """Return the counts of the first usage directive; none if one of them is no meter of tokens or no count."""
    found = _USAGE.search(prompt)
    try:
        counts: dict[str, object] = json.loads(found[1]) if found else {}
    except ValueError:
        return {}
    usage = {
        Meter(name): min(count, MAX_USAGE_TOKENS)
        for name, count in counts.items()
        if name in _METERS and type(count) is int and count >= 0
    }
    return usage if len(usage) == len(counts) else {}


@dataclass(frozen=True, slots=True)
class _Tool:
    """A tool directive and its position."""

    start: int
    end: int
    call: RequestedCall


def _tools(prompt: str) -> Iterator[_Tool]:
    """Yield the tool directives; one without valid JSON is ignored."""
    index = 0
    for _ in range(_MAX_TOOLS):
        start = _TOOL.search(prompt, index)
        if start is None:
            return
        index = start.end()
        if start["end"]:
            yield _Tool(start.start(), index, RequestedCall(start[1], None))
            continue
        try:
            _, end = _READ(prompt, index)
        except (ValueError, RecursionError):
            continue
        if prompt.startswith(_END, end):
            yield _Tool(start.start(), end + len(_END), RequestedCall(start[1], prompt[index:end]))
            index = end


def _without(prompt: str, tools: Sequence[_Tool]) -> str:
    parts, index = list[str](), 0
    for tool in tools:
        parts.append(prompt[index : tool.start])
        index = tool.end
    return "".join(parts) + prompt[index:]
