"""Opaque provider state: its collection from a stream, and its return in the next request.

Reasoning with signatures, encrypted reasoning and similar parts of an answer are required by some providers with the
outputs of the tools, unchanged and in order. Texts and tool calls of the answer are not repeated in the state: it
contains only their places.
"""

import json
import re
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO
from typing import Any, cast

from services.runs.providers.domain.request import Api, ModelRequest
from services.runs.providers.gateway.bounds import MAX_RESPONSE_BYTES
from services.runs.providers.gateway.failures import too_large
from services.runs.providers.gateway.streamed_text import joined
from services.runs.runs.domain.conversation import Message, ProviderState, ToolCall

Block = dict[str, Any]
"""An opaque part of an answer, in the provider's format."""
_PLACE_CHARS = 100
"""The characters that a place counts as."""
_SURROGATE = re.compile("[\ud800-\udfff]")


def new_state(request: ModelRequest, api: Api, content: object) -> ProviderState | None:
    """Return the state with this content; None if there is no content."""
    if not content:
        return None
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    if _SURROGATE.search(text):
        text = json.dumps(content, separators=(",", ":"))
    return ProviderState(request.provider, request.model, api, text)


def content_of(message: Message, request: ModelRequest, api: Api) -> Any:  # noqa: ANN401 — any JSON
    """Return the content of a message's state; None if it is of another model or wire format."""
    state = message.state
    if state is None or (state.provider, state.model, state.api) != (request.provider, request.model, api):
        return None
    return json.loads(state.content)


@dataclass(slots=True)
class _Place:
    """The place of a tool call or an opaque block in an answer."""

    at: int
    """The number of characters of text before it."""
    block: Block | None = None
    """The block; None for a call."""
    texts: dict[str, StringIO] = field(default_factory=dict[str, StringIO])
    """The texts of the block that arrive in pieces."""

    def to_content(self) -> Mapping[str, Any]:
        """Return the part of the state."""
        if self.block is None:
            return {"at": self.at}
        texts = {name: joined(pieces.getvalue()) for name, pieces in self.texts.items()}
        return {"at": self.at, "block": {**self.block, **texts}}


class StreamedBlocks:
    """The opaque blocks of an answer and their order among its texts and tool calls."""

    def __init__(self) -> None:
        self._places: list[_Place] = []
        self._open: dict[int, _Place] = {}
        self._chars = 0

    def add_call(self, *, at: int) -> None:
        """Add the place of the next tool call."""
        self._add(_Place(at))

    def add_block(self, block: Block, *, at: int, index: int | None = None) -> None:
        """Add a block. With an index, its texts may arrive later."""
        place = _Place(at, block)
        self._add(place)
        self._grow(len(json.dumps(block)))
        if index is not None:
            self._open[index] = place

    def extend_block(self, index: int, name: str, text: str, *, at: int, begin: Block) -> None:
        """Add the next piece of a text of the block with this index, which begins like this if it is new.

        Raises:
            ProviderFailed: there is more than an answer can have.
        """
        if index not in self._open:
            self.add_block(begin, at=at, index=index)
        place = self._open[index]
        if name not in place.texts:
            place.texts[name] = StringIO()
            place.texts[name].write((place.block or {}).get(name) or "")
        place.texts[name].write(text)
        self._grow(len(text))

    def content(self) -> Sequence[Mapping[str, Any]]:
        """Return the content of the state; empty if there is no opaque block."""
        has_blocks = any(place.block is not None for place in self._places)
        return [place.to_content() for place in self._places] if has_blocks else ()

    def _add(self, place: _Place) -> None:
        self._places.append(place)
        self._grow(_PLACE_CHARS)

    def _grow(self, chars: int) -> None:
        self._chars += chars
        if self._chars > MAX_RESPONSE_BYTES:
            raise too_large()


def parts_of(message: Message, request: ModelRequest, api: Api) -> Generator[str | ToolCall | Block]:
    """Yield the texts, tool calls and opaque blocks of an assistant's message in the order in which they came."""
    calls, written = iter(message.tool_calls), 0
    places = cast("Sequence[dict[str, Any]]", content_of(message, request, api) or ())
    for place in places:
        text = message.content[written : place["at"]]
        written += len(text)
        yield from [text] if text else []
        yield from [place["block"]] if "block" in place else [call for call in [next(calls, None)] if call]
    rest = message.content[written:]
    yield from [rest] if rest else []
    yield from calls
