"""Calls of tools on their way between us and a provider."""

import json
from dataclasses import dataclass, field
from typing import Any, cast

from services.runs.domain.request import ToolCall


@dataclass(slots=True)
class _Pieces:
    """One call, as far as it has come."""

    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list[str])


class StreamedCalls:
    """The calls of an answer, of which each may come in many pieces."""

    def __init__(self) -> None:
        self._calls: dict[int, _Pieces] = {}

    def add(self, place: int, *, call_id: str | None = None, name: str | None = None, arguments: str = "") -> None:
        """The next piece of the call at this place of the answer."""
        call = self._calls.setdefault(place, _Pieces())
        call.id = call_id or call.id
        call.name = name or call.name
        call.arguments.append(arguments)

    def whole(self) -> tuple[ToolCall, ...]:
        """All calls in their order, when nothing more comes."""
        return tuple(
            ToolCall(call.id or f"call_{place}", call.name, "".join(call.arguments) or "{}")
            for place, call in sorted(self._calls.items())
        )


def arguments_of(call: ToolCall) -> dict[str, Any]:
    """A call's arguments as an object; under one name where the model wrote something else, as models sometimes do."""
    try:
        written = json.loads(call.arguments)
    except ValueError:
        written = call.arguments
    return cast("dict[str, Any]", written) if isinstance(written, dict) else {"arguments": written}
