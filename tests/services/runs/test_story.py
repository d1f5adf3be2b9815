"""What a run tells those who follow it."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.runs.domain import lifecycle
from services.runs.domain.request import ToolCall
from services.runs.domain.run import CallEnd, Outcome, Run, RunError
from services.runs.domain.story import DELTA_CHARS, Cursor, Place, Told, open_text, tell
from tests.services.runs.runs import CALL, END, NOW, RUN_ID, running, submitted, taken

LATER = NOW + timedelta(seconds=2)
TOOL = ToolCall("call_1", "weather", "{}")
CUT = CallEnd(Outcome.FAILED, error=RunError("StreamTruncated", "Cut."))


def _names(told: Sequence[Told]) -> list[str]:
    return [one.name for one in told]


def _text(told: Sequence[Told]) -> str:
    return "".join(one.data["text"] for one in told if one.name == "run.delta")


def _completed(message: str) -> Run:
    return lifecycle.complete(running(), END, {"message": message}, now=LATER)[0]


def _retried(run: Run) -> Run:
    """The open call has failed, and the next one is open."""
    failed = lifecycle.end_call(run, CUT, now=LATER)[0]
    return lifecycle.begin_call(failed, replace(CALL, number=len(failed.attempts[-1].calls) + 1), now=LATER)


class TestTell:
    def test_says_nothing_of_a_run_that_waits(self) -> None:
        assert tell(submitted()[0], Cursor()) == []

    def test_gives_each_piece_an_id_of_its_own(self) -> None:
        told = tell(running(), Cursor(), ["Hel", "lo"])
        assert [(one.name, one.data, one.cursor) for one in told] == [
            ("run.delta", {"text": "Hel"}, Cursor(0, Place(1, 1, 3))),
            ("run.delta", {"text": "lo"}, Cursor(0, Place(1, 1, 5))),
        ]

    def test_cuts_a_long_text_into_events(self) -> None:
        text = "é" * (DELTA_CHARS * 2 + 1)
        told = tell(_completed(text), Cursor())
        assert [len(one.data["text"]) for one in told[:-1]] == [DELTA_CHARS, DELTA_CHARS, 1]
        assert _text(told) == text
        assert _text(tell(_completed(text), told[0].cursor)) == text[DELTA_CHARS:]

    def test_goes_on_behind_what_was_heard(self) -> None:
        heard = tell(running(), Cursor(), ["Hel"])[-1].cursor
        assert open_text(running(), heard) == Place(1, 1, 3)
        done = _completed("Hello")
        told = tell(done, heard)
        assert [(one.name, dict(one.data)) for one in told] == [
            ("run.delta", {"text": "lo"}),
            ("run.completed", {"run_id": RUN_ID, "status": "completed"}),
        ]
        assert tell(done, told[-1].cursor) == []

    def test_tells_a_run_that_has_ended_from_its_beginning(self) -> None:
        assert _names(tell(_completed("Hello"), Cursor())) == ["run.delta", "run.completed"]

    def test_voids_the_text_of_a_call_that_is_tried_again(self) -> None:
        heard = tell(running(), Cursor(), ["Hal"])[-1].cursor
        again = _retried(running())
        assert open_text(again, heard) == Place(1, 2)
        told = tell(again, heard, ["Hello"])
        assert _names(told) == ["run.restarted", "run.delta"]

    def test_voids_it_also_when_the_next_call_has_ended_meanwhile(self) -> None:
        heard = tell(running(), Cursor(), ["Hal"])[-1].cursor
        done = lifecycle.complete(_retried(running()), END, {"message": "Hello"}, now=LATER)[0]
        told = tell(done, heard)
        assert (_names(told), _text(told)) == (["run.restarted", "run.delta", "run.completed"], "Hello")

    def test_voids_the_text_of_a_worker_that_was_lost(self) -> None:
        heard = tell(running(), Cursor(), ["Hal"])[-1].cursor
        queued = lifecycle.give_back(running(), now=LATER)[0]
        assert tell(queued, heard) == []
        assert _names(tell(taken(queued), heard)) == ["run.restarted"]

    def test_voids_nothing_that_was_not_heard(self) -> None:
        assert _names(tell(_retried(running()), Cursor(), ["Hello"])) == ["run.delta"]

    def test_keeps_the_text_of_an_answer_that_asks_for_tools(self) -> None:
        heard = tell(running(), Cursor(), ["Let me "])[-1].cursor
        waiting = lifecycle.require_tools(running(), END, "Let me see.", (TOOL,), now=LATER)[0]
        asked = tell(waiting, heard)
        assert _names(asked) == ["run.delta", "run.requires_action"]
        assert asked[-1].data == {"tool_calls": [{"id": "call_1", "name": "weather", "arguments": "{}"}]}
        assert tell(waiting, asked[-1].cursor) == []
        again = taken(lifecycle.take_tool_outputs(waiting, {"call_1": "rain"}, now=LATER)[0])
        assert _names(tell(again, asked[-1].cursor, ["Rain."])) == ["run.delta"]
        assert _names(tell(again, Cursor(), ["Rain."])) == ["run.delta", "run.requires_action", "run.delta"]

    def test_says_why_a_run_failed_and_keeps_what_was_heard(self) -> None:
        heard = tell(running(), Cursor(), ["Hal"])[-1].cursor
        failed = lifecycle.fail(running(), CUT, RunError("StreamTruncated", "Cut."), now=LATER)[0]
        [told] = tell(failed, heard)
        assert (told.name, told.data["error"]) == ("run.failed", {"code": "StreamTruncated", "message": "Cut."})

    def test_says_that_a_run_was_cancelled(self) -> None:
        assert _names(tell(lifecycle.cancel(submitted()[0], now=LATER)[0], Cursor())) == ["run.cancelled"]


class TestCursor:
    @pytest.mark.parametrize(
        "cursor", [Cursor(), Cursor(3), Cursor(2, Place(4, 5, 600)), Cursor(0, Place(1, 1)), Cursor(ended=True)]
    )
    def test_comes_back_from_its_text(self, cursor: Cursor) -> None:
        assert Cursor.from_text(cursor.to_text()) == cursor

    @pytest.mark.parametrize(
        "text", ["", "1", "0.1.1", "0.1.1.-5", "0.1.1.999999999", "a.b.c.d", "0.1.1.5\n", "٣.1.1.1"]
    )
    def test_is_read_from_nothing_else(self, text: str) -> None:
        with pytest.raises(ValueError, match="no cursor"):
            Cursor.from_text(text)


@dataclass
class Follower:
    """Hears a run now and then, and keeps what stands of its text."""

    cursor: Cursor = field(default_factory=Cursor)
    text: str = ""
    answers: list[str] = field(default_factory=list[str])
    end: str = ""

    def hear(self, run: Run, written: str = "", *, piece: int = 3) -> None:
        """Hear what is new.

        Args:
            run: as it is.
            written: of the open call's text.
            piece: how long its pieces are.
        """
        place = open_text(run, self.cursor)
        left = written[place.offset :] if place else ""
        for told in tell(run, self.cursor, [left[at : at + piece] for at in range(0, len(left), piece)]):
            self.cursor = Cursor.from_text(told.cursor.to_text())
            match told.name:
                case "run.delta":
                    self.text += told.data["text"]
                case "run.restarted":
                    self.text = ""
                case "run.requires_action":
                    self.answers.append(self.text)
                    self.text = ""
                case _:
                    self.end = told.name


_STEPS = st.lists(
    st.tuples(st.sampled_from(["retried", "lost", "tools", "written"]), st.text(max_size=12), st.booleans()),
    max_size=8,
)


@given(_STEPS, st.text(max_size=20))
def test_whenever_it_is_heard_what_stands_in_the_end_is_the_answer(
    steps: list[tuple[str, str, bool]], message: str
) -> None:
    run, follower, answers, lost = running(), Follower(), list[str](), 0
    for kind, text, heard in steps:
        if heard:
            follower.hear(run, text)
        if kind == "retried":
            run = _retried(run)
        elif kind == "lost" and lost < 2:
            lost += 1
            run = taken(lifecycle.give_back(run, now=LATER)[0])
        elif kind == "tools":
            # Its text is whole only now; whoever heard a part of it hears the rest.
            answers.append(text)
            run = lifecycle.require_tools(run, END, text, (TOOL,), now=LATER)[0]
            run = taken(lifecycle.take_tool_outputs(run, {"call_1": "x"}, now=LATER)[0])
        else:
            run = _retried(run)
    follower.hear(lifecycle.complete(run, END, {"message": message}, now=LATER)[0])
    assert (follower.text, follower.answers, follower.end) == (message, answers, "run.completed")
