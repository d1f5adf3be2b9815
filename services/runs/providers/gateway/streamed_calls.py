"""Conversion of tool calls to and from the formats of providers."""

import json
from collections.abc import Collection, Generator, Sequence
from dataclasses import dataclass, field
from io import StringIO
from typing import Any, NoReturn, cast

from services.runs.errors import ProviderFailed
from services.runs.providers.domain.model import StopReason, StreamEnd, UsageUpdate
from services.runs.providers.gateway.bounds import MAX_RESPONSE_BYTES
from services.runs.providers.gateway.failures import invalid_call, too_large
from services.runs.providers.gateway.streamed_text import joined
from services.runs.runs.domain.conversation import Message, ProviderState, ToolCall
from shared.meters import Meters

MAX_STREAMED_CALLS = 1_000
"""The maximum number of tool calls that are read; a run fails with fewer."""
_NOTHING = frozenset({"", "null"})
"""Arguments that some servers send for a tool without parameters."""
_NAME_CHARS = 200
"""The maximum length, in characters, of a tool's name in an error."""


@dataclass(slots=True, eq=False)
class _StreamedCall:
    """The received part of one tool call."""

    place: int
    index: object
    id: str = ""
    name: str = ""
    arguments: StringIO = field(default_factory=StringIO)
    last_char: str = ""
    """The last character of the arguments other than white space."""

    @property
    def is_closed(self) -> bool:
        """Whether the arguments may be complete."""
        return self.last_char == "}"


class StreamedCalls:
    """The tool calls of an answer, each of which may arrive in many fragments.

    Servers number their calls in different ways: some give each fragment an index, some give all calls the same one or
    none, and some repeat or change the id. So a fragment belongs to the call with its id, else with its index, else to
    the last one; a name begins a new call unless it repeats the name of an incomplete one.

    Some servers begin again with the same ids in each turn. Ids are made unique within the conversation, so that each
    output belongs to one call. Providers accept any id, if the call and its output have the same.

    Args:
        conversation: the messages before the answer.
    """

    def __init__(self, conversation: Sequence[Message] = ()) -> None:
        self._turn = len(conversation)
        self._earlier = {call.id for message in conversation for call in message.tool_calls}
        self._calls: list[_StreamedCall] = []
        self._by_id: dict[str, _StreamedCall] = {}
        self._by_index: dict[object, _StreamedCall] = {}
        self._chars = 0

    def __len__(self) -> int:
        return len(self._calls)

    def add(self, index: object, *, call_id: object = None, name: str | None = None, arguments: object = "") -> int:
        """Add the next fragment of a call; return the call's place in the answer, from 0.

        Args:
            index: the call's index in the answer; None if the server does not give one.
            call_id: the call's id, if the fragment has it.
            name: the tool's name, if the fragment has it.
            arguments: the next part of the JSON text; some servers send the decoded object.

        Raises:
            ProviderFailed: there are more or longer calls than an answer can have.
        """
        known_id = str(call_id or "")
        call = self._find(index, known_id, name or "") or self._begin(index)
        self._by_index[index] = call
        call.id = call.id or known_id
        call.name = call.name or name or ""
        if known_id:
            self._by_id[known_id] = call
        self._append(call, _text_of(arguments))
        return call.place

    def complete(self) -> tuple[ToolCall, ...]:
        """Return all calls in their order, after the last fragment.

        Raises:
            ProviderFailed: `ToolCallInvalid`, a call has no name, or its arguments are not an object.
        """
        used = set(self._earlier)
        return tuple(self._complete(call, used) for call in self._calls)

    def _find(self, index: object, call_id: str, name: str) -> _StreamedCall | None:
        """Return the call that a fragment continues; None if it begins one."""
        known = self._by_id.get(call_id)
        if known:
            repeats_id = name and known.is_closed and index is not None and index != known.index
            return None if repeats_id else known
        current = self._by_index.get(index) if index is not None else self._calls[-1] if self._calls else None
        if current is None or not name or not current.name:
            return current
        if call_id:
            return None
        has_begun = index is not None or current.last_char
        return current if has_begun and current.name == name and not current.is_closed else None

    def _begin(self, index: object) -> _StreamedCall:
        if len(self._calls) >= MAX_STREAMED_CALLS:
            raise too_large()
        self._calls.append(_StreamedCall(len(self._calls), index))
        return self._calls[-1]

    def _append(self, call: _StreamedCall, arguments: str) -> None:
        self._chars += len(arguments)
        if self._chars > MAX_RESPONSE_BYTES:
            raise too_large()
        call.arguments.write(arguments)
        call.last_char = arguments.rstrip()[-1:] or call.last_char

    def _complete(self, call: _StreamedCall, used: set[str]) -> ToolCall:
        given_id, name = joined(call.id), joined(call.name)
        call_id = given_id or f"call_{self._turn}_{call.place}"
        if call_id in used:
            turn = f"_{self._turn}" if call_id in self._earlier else ""
            call_id = _unused(f"{call_id}{turn}_{call.place}", used)
        used.add(call_id)
        if not name:
            message = "The model asked for a tool without a name."
            raise invalid_call(message)
        return ToolCall(call_id, name, _arguments_in(joined(call.arguments.getvalue()), name))


def _unused(call_id: str, used: Collection[str]) -> str:
    while call_id in used:
        call_id += "_"
    return call_id


def ending(
    meters: Meters, stop: StopReason, calls: StreamedCalls, *, state: ProviderState | None = None
) -> Generator[UsageUpdate | StreamEnd]:
    """Yield the terminal part of a complete answer. An answer that was cut or refused has no calls.

    Raises:
        ProviderFailed: a tool call is invalid; a part with the usage is yielded before.
    """
    if stop in {StopReason.LENGTH, StopReason.REFUSED}:
        yield StreamEnd(meters, stop=stop)
        return
    try:
        complete = calls.complete()
    except ProviderFailed:
        yield UsageUpdate(meters)
        raise
    if complete:
        yield StreamEnd(meters, complete, StopReason.TOOL_CALLS, state)
    else:
        yield StreamEnd(meters)


def arguments_of(call: ToolCall) -> dict[str, Any]:
    """Return the arguments of a call as an object. A value that is not an object is put under the key `arguments`.

    Runs of earlier releases may have stored such values.
    """
    try:
        written = json.loads(call.arguments)
    except ValueError:
        written = call.arguments
    return cast("dict[str, Any]", written) if isinstance(written, dict) else {"arguments": written}


def _text_of(arguments: object) -> str:
    if isinstance(arguments, str):
        return arguments
    return "" if arguments is None else json.dumps(arguments, ensure_ascii=False)


def _arguments_in(text: str, name: str) -> str:
    """Return the text of a call's arguments.

    Raises:
        ProviderFailed: they are not one JSON object.
    """
    if text.strip() in _NOTHING:
        return "{}"
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        message = f"The model's arguments for the tool {name[:_NAME_CHARS]} are not a JSON object."
        raise invalid_call(message)
    if "\\ud" not in text.lower():
        return text
    # Half of a character may also be written as an escape sequence.
    written = json.dumps(value, ensure_ascii=False)
    whole = joined(written)
    return text if whole == written else whole


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)
