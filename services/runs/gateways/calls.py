"""Calls of tools on their way between us and a provider."""

import json
from dataclasses import dataclass, field
from io import StringIO
from typing import Any, cast

from services.runs.domain.request import ToolCall
from services.runs.gateways.answers import too_large
from services.runs.gateways.bounds import MAX_ANSWER_BYTES

MAX_STREAMED_CALLS = 1_000
"""Tool calls of one answer that are read; a run fails with fewer."""


@dataclass(slots=True)
class _Pieces:
    """One call, as far as it has come."""

    id: str = ""
    name: str = ""
    arguments: StringIO = field(default_factory=StringIO)


class StreamedCalls:
    """The calls of an answer, of which each may come in many pieces."""

    def __init__(self) -> None:
        self._calls: dict[int, _Pieces] = {}
        self._chars = 0

    def add(self, place: int, *, call_id: str | None = None, name: str | None = None, arguments: str = "") -> None:
        """Add the next piece of the call at this place of the answer.

        Raises:
            ProviderFailed: there are more calls, or longer ones, than any answer has.
        """
        call = self._calls.setdefault(place, _Pieces())
        self._chars += len(arguments)
        if len(self._calls) > MAX_STREAMED_CALLS or self._chars > MAX_ANSWER_BYTES:
            raise too_large()
        call.id = call_id or call.id
        call.name = name or call.name
        call.arguments.write(arguments)

    def whole(self) -> tuple[ToolCall, ...]:
        """All calls in their order, when nothing more comes."""
        return tuple(
            ToolCall(call.id or f"call_{place}", call.name, call.arguments.getvalue() or "{}")
            for place, call in sorted(self._calls.items())
        )


def arguments_of(call: ToolCall) -> dict[str, Any]:
    """A call's arguments as an object; under one name where the model wrote something else, as models sometimes do."""
    try:
        written = json.loads(call.arguments)
    except ValueError:
        written = call.arguments
    return cast("dict[str, Any]", written) if isinstance(written, dict) else {"arguments": written}
