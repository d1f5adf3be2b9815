"""Opaque fields of answers over Chat Completions, which some servers require back with the outputs of the tools."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import StringIO
from typing import Any, cast

from openai.types.chat.chat_completion_chunk import ChoiceDelta, ChoiceDeltaToolCall

from services.runs.providers.gateway.bounds import MAX_RESPONSE_BYTES
from services.runs.providers.gateway.failures import too_large
from services.runs.providers.gateway.provider_states import Block
from services.runs.providers.gateway.streamed_text import joined, utf8_bytes

_MESSAGE_FIELDS = ("reasoning_content", "reasoning_details", "extra_content")
"""DeepSeek and Kimi, OpenRouter, Gemini. Other servers refuse unknown fields, so no others are kept."""
_REASONING_FIELDS = ("reasoning_content", "reasoning")
"""The same text by different names, which some servers send both."""
_CALL_FIELDS = ("extra_content",)
_GROWING = frozenset({"text", "summary"})
"""The texts of an entry of `reasoning_details`, which continue in the next entry with the same index."""


@dataclass(slots=True)
class ChatExtras:
    """The opaque fields of an answer, which may arrive in many pieces."""

    _fields: Block = field(default_factory=dict[str, Any])
    _calls: dict[int, Block] = field(default_factory=dict[int, Block])
    _pieces: dict[str, StringIO] = field(default_factory=dict[str, StringIO])
    _chars: int = 0

    def add(self, delta: ChoiceDelta) -> int:
        """Add the fields of a delta and return the bytes of its reasoning."""
        for name, value in _present(delta.model_extra, _MESSAGE_FIELDS).items():
            if isinstance(value, str):
                self._pieces.setdefault(name, StringIO()).write(value)
                self._grow(len(value))
            else:
                self._fields[name] = _merged(self._fields.get(name), value)
                self._grow(len(json.dumps(value)))

        texts = _present(delta.model_extra, _REASONING_FIELDS).values()
        return max((utf8_bytes(text) for text in texts if isinstance(text, str)), default=0)

    def add_to_call(self, place: int, fragment: ChoiceDeltaToolCall) -> None:
        """Add the fields of a fragment of the call at this place."""
        extra = _present(fragment.model_extra, _CALL_FIELDS)
        if extra:
            self._calls[place] = {**self._calls.get(place, {}), **extra}
            self._grow(len(json.dumps(extra)))

    def content(self) -> Mapping[str, Any]:
        """Return the content of the state; empty if the answer has no such fields."""
        texts = {name: joined(pieces.getvalue()) for name, pieces in self._pieces.items()}
        calls = {str(place): extra for place, extra in self._calls.items()}
        return {name: value for name, value in (("message", {**self._fields, **texts}), ("calls", calls)) if value}

    def _grow(self, chars: int) -> None:
        self._chars += chars
        if self._chars > MAX_RESPONSE_BYTES:
            raise too_large()


def _present(extra: Mapping[str, Any] | None, names: tuple[str, ...]) -> Block:
    return {name: extra[name] for name in names if extra.get(name)} if extra else {}


def _merged(known: object, value: object) -> object:
    """Return a field with its next piece."""
    if not isinstance(known, list) or not isinstance(value, list):
        return value
    entries = cast("list[object]", known)
    for entry in cast("list[object]", value):
        if not (entries and _continue(entries[-1], entry)):
            entries.append(entry)
    return entries


def _continue(last: object, entry: object) -> bool:
    """Continue the last entry with this one if both have the same type and index; return whether they have."""
    if not isinstance(last, dict) or not isinstance(entry, dict):
        return False
    known, following = cast("Block", last), cast("Block", entry)
    index = following.get("index")
    if index is None or (known.get("type"), known.get("index")) != (following.get("type"), index):
        return False
    for name, value in following.items():
        if name in _GROWING and isinstance(value, str):
            known[name] = f"{known.get(name) or ''}{value}"
        elif value is not None:
            known[name] = value
    return True
