"""What a run tells those who follow it, from any place on.

The text of an answer comes in pieces while its call is open. A call that is tried again begins anew, and what was told
of its text is void. An answer that asks for tools stands, and the text after it belongs to the next one. All of it is
told from the run as it is, so that a run which has ended is told in the same way as one that is under way.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from services.runs.domain.request import Message
from services.runs.domain.run import Outcome, Run, Status

Name = Literal["run.delta", "run.restarted", "run.requires_action", "run.completed", "run.failed", "run.cancelled"]


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the text of one call."""

    attempt: int
    call: int
    offset: int = 0
    """The characters before it."""

    def after(self, text: str) -> "Place":
        """The place behind this piece of text."""
        return replace(self, offset=self.offset + len(text))

    def is_in_text_of(self, other: "Place") -> bool:
        """Whether both are places in the same text."""
        return (self.attempt, self.call) == (other.attempt, other.call)


@dataclass(frozen=True, slots=True)
class Cursor:
    """How much of a run's story a follower has heard."""

    answers: int = 0
    """Answers that asked for tools, heard to their end."""
    place: Place | None = None
    """In the text of the answer that comes after them; None: nothing of it was heard."""
    ended: bool = False

    def to_text(self) -> str:
        """As it is handed out: `0.1.2.250`, or `end`."""
        if self.ended:
            return _END
        place = self.place or _NOWHERE
        return f"{self.answers}.{place.attempt}.{place.call}.{place.offset}"

    @classmethod
    def from_text(cls, text: str) -> "Cursor":
        """The cursor that was handed out as this text.

        Raises:
            ValueError: none was.
        """
        if text == _END:
            return cls(ended=True)
        if not _CURSOR.fullmatch(text):
            msg = f"this is no cursor: {text!r}"
            raise ValueError(msg)
        answers, *place = (int(number) for number in text.split("."))
        found = Place(*place)
        return cls(answers, None if found == _NOWHERE else found)


DELTA_CHARS = 16 * 1024
"""Of the text in one event; a longer text comes in several, so that a response can end between them."""
_END = "end"
_CURSOR = re.compile(r"[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,8}")
_NOWHERE = Place(0, 0)


@dataclass(frozen=True, slots=True)
class Told:
    """One thing that a follower hears, and how much it has heard then."""

    name: Name
    data: Mapping[str, Any]
    cursor: Cursor


def open_text(run: Run, cursor: Cursor) -> Place | None:
    """Where to read on in the text that is being written; None when no call is open."""
    if run.status is not Status.RUNNING or run.open_call is None:
        return None
    start = Place(run.attempt, run.open_call.number)
    heard = cursor.place
    return heard if heard and heard.is_in_text_of(start) else start


def tell(run: Run, cursor: Cursor, pieces: Sequence[str] = ()) -> list[Told]:
    """What the follower has not heard yet.

    Args:
        run: as it is.
        cursor: what was heard.
        pieces: of the open call's text, from `open_text` on.
    """
    if cursor.ended:
        return []
    teller = _Teller(cursor)
    for place, answer in list(_answers(run))[cursor.answers :]:
        teller.tell_rest(place, answer.content)
        teller.tell_tools(answer)
    reading = open_text(run, teller.cursor)
    if reading:
        teller.go_to(reading)
        for piece in pieces:
            teller.tell_text(piece)
    if run.status is Status.COMPLETED and run.output:
        teller.tell_rest(_last_text(run), run.output["message"])
    if run.status.final:
        teller.tell_end(run)
    return teller.told


class _Teller:
    """Collects what is told, and moves the cursor with it."""

    def __init__(self, cursor: Cursor) -> None:
        self.cursor = cursor
        self.told: list[Told] = []

    def go_to(self, place: Place) -> Place:
        """Be in the text of this call; what was heard of another call's is void. Gives where in the text we are."""
        heard = self.cursor.place
        if heard and heard.is_in_text_of(place):
            return heard
        moved = replace(self.cursor, place=replace(place, offset=0))
        if heard and heard.offset:
            self._tell("run.restarted", {}, moved)
        self.cursor = moved
        return replace(place, offset=0)

    def tell_text(self, text: str) -> None:
        """The next piece of the text that we are in."""
        for start in range(0, len(text), DELTA_CHARS):
            place, part = self.cursor.place, text[start : start + DELTA_CHARS]
            if place:
                self._tell("run.delta", {"text": part}, replace(self.cursor, place=place.after(part)))

    def tell_rest(self, place: Place, text: str) -> None:
        """What was not heard of this call's text, which is whole."""
        self.tell_text(text[self.go_to(place).offset :])

    def tell_tools(self, answer: Message) -> None:
        """The end of an answer that asks for tools."""
        calls = [asdict(call) for call in answer.tool_calls]
        self._tell("run.requires_action", {"tool_calls": calls}, Cursor(self.cursor.answers + 1))

    def tell_end(self, run: Run) -> None:
        """How the run ended."""
        data: dict[str, Any] = {"run_id": run.run_id, "status": run.status.value}
        if run.error:
            data["error"] = asdict(run.error)
        self._tell(_ENDS[run.status], data, replace(self.cursor, ended=True))

    def _tell(self, name: Name, data: Mapping[str, Any], cursor: Cursor) -> None:
        self.cursor = cursor
        self.told.append(Told(name, data, cursor))


_ENDS: dict[Status, Name] = {
    Status.COMPLETED: "run.completed",
    Status.FAILED: "run.failed",
    Status.CANCELLED: "run.cancelled",
}


def _answers(run: Run) -> Iterator[tuple[Place, Message]]:
    """The answers that asked for tools, each with the beginning of its text."""
    asking = [turn for turn in run.turns if turn.tool_calls]
    ended = [
        Place(number, attempt.calls[-1].number)
        for number, attempt in enumerate(run.attempts, start=1)
        if attempt.outcome is Outcome.REQUIRES_ACTION
    ]
    return zip(ended, asking, strict=True)


def _last_text(run: Run) -> Place:
    return Place(run.attempt, run.attempts[-1].calls[-1].number)
