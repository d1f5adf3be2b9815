"""The stream of a run: the events for a client that follows it, from any cursor on.

The text of an answer arrives in pieces while its call is open. A retried call starts a new text and invalidates the
pieces sent before. An answer that requests tools is final, and the text after it belongs to the next answer. All
events are derived from the run itself, so an ended run is streamed in the same way as one that is under way.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from services.runs.runs.domain.conversation import Message
from services.runs.runs.domain.position import TextPosition
from services.runs.runs.domain.run import Outcome, Run, Status

Name = Literal["run.delta", "run.restarted", "run.requires_action", "run.completed", "run.failed", "run.cancelled"]


@dataclass(frozen=True, slots=True)
class StreamCursor:
    """The position of a client in the stream of a run."""

    turns: int = 0
    """The number of completely received answers that requested tools."""
    position: TextPosition | None = None
    """The position in the text of the next answer; None: none of it was received."""
    ended: bool = False

    def to_text(self) -> str:
        """Return the text of the cursor: `0.1.2.250`, or `end`."""
        if self.ended:
            return _END
        position = self.position or _NO_POSITION
        return f"{self.turns}.{position.attempt}.{position.call}.{position.offset}"

    @classmethod
    def from_text(cls, text: str) -> "StreamCursor":
        """Return the cursor with this text.

        Raises:
            ValueError: the text is not a cursor.
        """
        if text == _END:
            return cls(ended=True)
        if not _CURSOR.fullmatch(text):
            msg = f"invalid cursor: {text!r}"
            raise ValueError(msg)
        turns, *position = (int(number) for number in text.split("."))
        parsed = TextPosition(*position)
        return cls(turns, None if parsed == _NO_POSITION else parsed)


DELTA_CHARS = 16 * 1024
"""The maximum text of one event. A longer text is sent in several, so that a response can end between them."""
_END = "end"
_CURSOR = re.compile(r"[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,8}")
_NO_POSITION = TextPosition(0, 0)


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """One event of the stream, and the client's position after it."""

    name: Name
    data: Mapping[str, Any]
    cursor: StreamCursor


def open_text(run: Run, cursor: StreamCursor) -> TextPosition | None:
    """Return the position from which to read the text of the open call; None if no call is open."""
    if run.status is not Status.RUNNING or run.open_call is None:
        return None
    start = TextPosition(run.attempt, run.open_call.number)
    received = cursor.position
    return received if received and received.is_in_text_of(start) else start


def events_after(run: Run, cursor: StreamCursor, pieces: Sequence[str] = ()) -> list[StreamEvent]:
    """Return the events after the cursor.

    Args:
        run: the run as it was read.
        cursor: the client's position.
        pieces: the pieces of the open call's text, from `open_text` on.
    """
    if cursor.ended:
        return []
    builder = _StreamBuilder(cursor)
    for position, turn in list(_turns_with_calls(run))[cursor.turns :]:
        builder.add_rest(position, turn.content)
        builder.add_tool_calls(turn)
    position = open_text(run, builder.cursor)
    if position:
        builder.go_to(position)
        for piece in pieces:
            builder.add_text(piece)
    if run.status is Status.COMPLETED and run.output:
        builder.add_rest(_last_text(run), run.output["message"])
    if run.status.final:
        builder.add_end(run)
    return builder.events


class _StreamBuilder:
    """Builder of the events, which advances the cursor with each."""

    def __init__(self, cursor: StreamCursor) -> None:
        self.cursor = cursor
        self.events: list[StreamEvent] = []

    def go_to(self, position: TextPosition) -> TextPosition:
        """Move to the text of this call and return the position in it; pieces of another call's text become invalid."""
        received = self.cursor.position
        if received and received.is_in_text_of(position):
            return received
        moved = replace(self.cursor, position=replace(position, offset=0))
        if received and received.offset:
            self._add("run.restarted", {}, moved)
        self.cursor = moved
        return replace(position, offset=0)

    def add_text(self, text: str) -> None:
        """Add the next piece of the current text."""
        for start in range(0, len(text), DELTA_CHARS):
            position, part = self.cursor.position, text[start : start + DELTA_CHARS]
            if position:
                self._add("run.delta", {"text": part}, replace(self.cursor, position=position.after(part)))

    def add_rest(self, position: TextPosition, text: str) -> None:
        """Add the part of this call's complete text that was not received."""
        self.add_text(text[self.go_to(position).offset :])

    def add_tool_calls(self, turn: Message) -> None:
        """Add the end of an answer that requests tools."""
        calls = [asdict(call) for call in turn.tool_calls]
        self._add("run.requires_action", {"tool_calls": calls}, StreamCursor(self.cursor.turns + 1))

    def add_end(self, run: Run) -> None:
        """Add the end of the run."""
        data: dict[str, Any] = {"run_id": run.run_id, "status": run.status.value}
        if run.error:
            data["error"] = run.error.to_fields()
        self._add(_ENDS[run.status], data, replace(self.cursor, ended=True))

    def _add(self, name: Name, data: Mapping[str, Any], cursor: StreamCursor) -> None:
        self.cursor = cursor
        self.events.append(StreamEvent(name, data, cursor))


_ENDS: dict[Status, Name] = {
    Status.COMPLETED: "run.completed",
    Status.FAILED: "run.failed",
    Status.CANCELLED: "run.cancelled",
}


def _turns_with_calls(run: Run) -> Iterator[tuple[TextPosition, Message]]:
    """Return the answers that requested tools, each with the start of its text."""
    asking = [turn for turn in run.turns if turn.tool_calls]
    ended = [
        TextPosition(number, attempt.calls[-1].number)
        for number, attempt in enumerate(run.attempts, start=1)
        if attempt.outcome is Outcome.REQUIRES_ACTION
    ]
    return zip(ended, asking, strict=True)


def _last_text(run: Run) -> TextPosition:
    return TextPosition(run.attempt, run.attempts[-1].calls[-1].number)
