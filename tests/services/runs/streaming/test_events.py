"""The events of a stream."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.runs.runs.domain import lifecycle
from services.runs.runs.domain.conversation import ToolCall
from services.runs.runs.domain.position import TextPosition
from services.runs.runs.domain.run import CallEnd, InvalidOutput, Outcome, Run, RunError
from services.runs.streaming.domain import DELTA_CHARS, StreamCursor, StreamEvent, events_after, open_text
from tests.services.runs.examples import CALL, END, NOW, RUN_ID, leased, running, submitted

LATER = NOW + timedelta(seconds=2)
TOOL = ToolCall("call_1", "weather", "{}")
CUT = CallEnd(Outcome.FAILED, error=RunError("StreamTruncated", "Cut."))


def _names(events: Sequence[StreamEvent]) -> list[str]:
    return [event.name for event in events]


def _text(events: Sequence[StreamEvent]) -> str:
    return "".join(event.data["text"] for event in events if event.name == "run.delta")


def _completed(message: str) -> Run:
    return lifecycle.complete(running(), END, {"message": message}, now=LATER)[0]


def _retried(run: Run) -> Run:
    """Return the run with its open call failed and the next one open."""
    failed = lifecycle.end_call(run, CUT, now=LATER)[0]
    return lifecycle.begin_call(failed, replace(CALL, number=len(failed.attempts[-1].calls) + 1), now=LATER)


class TestEventsAfter:
    def test_is_empty_for_a_queued_run(self) -> None:
        assert events_after(submitted()[0], StreamCursor()) == []

    def test_gives_each_piece_its_own_cursor(self) -> None:
        events = events_after(running(), StreamCursor(), ["Hel", "lo"])
        assert [(event.name, event.data, event.cursor) for event in events] == [
            ("run.delta", {"text": "Hel"}, StreamCursor(0, TextPosition(1, 1, 3))),
            ("run.delta", {"text": "lo"}, StreamCursor(0, TextPosition(1, 1, 5))),
        ]

    def test_splits_a_long_text(self) -> None:
        text = "é" * (DELTA_CHARS * 2 + 1)
        events = events_after(_completed(text), StreamCursor())
        assert [len(event.data["text"]) for event in events[:-1]] == [DELTA_CHARS, DELTA_CHARS, 1]
        assert _text(events) == text
        assert _text(events_after(_completed(text), events[0].cursor)) == text[DELTA_CHARS:]

    def test_continues_after_the_received_text(self) -> None:
        received = events_after(running(), StreamCursor(), ["Hel"])[-1].cursor
        assert open_text(running(), received) == TextPosition(1, 1, 3)
        done = _completed("Hello")
        events = events_after(done, received)
        assert [(event.name, dict(event.data)) for event in events] == [
            ("run.delta", {"text": "lo"}),
            ("run.completed", {"run_id": RUN_ID, "status": "completed"}),
        ]
        assert events_after(done, events[-1].cursor) == []

    def test_replays_an_ended_run(self) -> None:
        assert _names(events_after(_completed("Hello"), StreamCursor())) == ["run.delta", "run.completed"]

    def test_restarts_the_text_of_a_retried_call(self) -> None:
        received = events_after(running(), StreamCursor(), ["Hal"])[-1].cursor
        again = _retried(running())
        assert open_text(again, received) == TextPosition(1, 2)
        events = events_after(again, received, ["Hello"])
        assert _names(events) == ["run.restarted", "run.delta"]

    def test_restarts_even_if_the_next_call_has_ended_meanwhile(self) -> None:
        received = events_after(running(), StreamCursor(), ["Hal"])[-1].cursor
        done = lifecycle.complete(_retried(running()), END, {"message": "Hello"}, now=LATER)[0]
        events = events_after(done, received)
        assert (_names(events), _text(events)) == (["run.restarted", "run.delta", "run.completed"], "Hello")

    def test_restarts_the_text_of_a_lost_worker(self) -> None:
        received = events_after(running(), StreamCursor(), ["Hal"])[-1].cursor
        queued = lifecycle.recover(running(), now=LATER)[0]
        assert events_after(queued, received) == []
        assert _names(events_after(leased(queued), received)) == ["run.restarted"]

    def test_restarts_nothing_that_was_not_received(self) -> None:
        assert _names(events_after(_retried(running()), StreamCursor(), ["Hello"])) == ["run.delta"]

    def test_keeps_the_text_of_a_response_that_requests_tools(self) -> None:
        received = events_after(running(), StreamCursor(), ["Let me "])[-1].cursor
        waiting = lifecycle.require_tools(running(), END, "Let me see.", (TOOL,), now=LATER)[0]
        asked = events_after(waiting, received)
        assert _names(asked) == ["run.delta", "run.requires_action"]
        assert asked[-1].data == {"tool_calls": [{"id": "call_1", "name": "weather", "arguments": "{}"}]}
        assert events_after(waiting, asked[-1].cursor) == []
        again = leased(lifecycle.accept_tool_outputs(waiting, {"call_1": "rain"}, now=LATER)[0])
        assert _names(events_after(again, asked[-1].cursor, ["Rain."])) == ["run.delta"]
        assert _names(events_after(again, StreamCursor(), ["Rain."])) == [
            "run.delta",
            "run.requires_action",
            "run.delta",
        ]

    def test_reports_the_error_and_keeps_the_received_text(self) -> None:
        received = events_after(running(), StreamCursor(), ["Hal"])[-1].cursor
        failed = lifecycle.fail(running(), CUT, RunError("StreamTruncated", "Cut."), now=LATER)[0]
        [events] = events_after(failed, received)
        assert (events.name, events.data["error"]) == ("run.failed", {"code": "StreamTruncated", "message": "Cut."})

    def test_reports_an_output_that_does_not_fit(self) -> None:
        error = RunError("OutputInvalid", "No.", InvalidOutput("Hi", is_truncated=False, reason="It is no JSON."))
        failed = lifecycle.fail(running(), CUT, error, now=LATER)[0]
        assert events_after(failed, StreamCursor())[-1].data["error"] == {
            "code": "OutputInvalid",
            "message": "No.",
            "details": {"output": "Hi", "truncated": False, "reason": "It is no JSON."},
        }

    def test_reports_a_cancellation(self) -> None:
        assert _names(events_after(lifecycle.cancel(submitted()[0], now=LATER)[0], StreamCursor())) == ["run.cancelled"]


class TestCursor:
    @pytest.mark.parametrize(
        "cursor",
        [
            StreamCursor(),
            StreamCursor(3),
            StreamCursor(2, TextPosition(4, 5, 600)),
            StreamCursor(0, TextPosition(1, 1)),
            StreamCursor(ended=True),
        ],
    )
    def test_survives_a_round_trip_through_text(self, cursor: StreamCursor) -> None:
        assert StreamCursor.from_text(cursor.to_text()) == cursor

    @pytest.mark.parametrize(
        "text", ["", "1", "0.1.1", "0.1.1.-5", "0.1.1.999999999", "a.b.c.d", "0.1.1.5\n", "٣.1.1.1"]
    )
    def test_refuses_other_texts(self, text: str) -> None:
        with pytest.raises(ValueError, match="invalid cursor"):
            StreamCursor.from_text(text)


@dataclass
class Follower:
    """A client that reads the stream from time to time and keeps the valid text."""

    cursor: StreamCursor = field(default_factory=StreamCursor)
    text: str = ""
    turns: list[str] = field(default_factory=list[str])
    end: str = ""

    def read(self, run: Run, written: str = "", *, piece: int = 3) -> None:
        """Read the new events.

        Args:
            run: as it is.
            written: of the open call's text.
            piece: how long its pieces are.
        """
        position = open_text(run, self.cursor)
        left = written[position.offset :] if position else ""
        for events in events_after(run, self.cursor, [left[at : at + piece] for at in range(0, len(left), piece)]):
            self.cursor = StreamCursor.from_text(events.cursor.to_text())
            match events.name:
                case "run.delta":
                    self.text += events.data["text"]
                case "run.restarted":
                    self.text = ""
                case "run.requires_action":
                    self.turns.append(self.text)
                    self.text = ""
                case _:
                    self.end = events.name


_STEPS = st.lists(
    st.tuples(st.sampled_from(["retried", "lost", "tools", "written"]), st.text(max_size=12), st.booleans()),
    max_size=8,
)


@given(_STEPS, st.text(max_size=20))
def test_assembles_the_whole_output_from_any_sequence_of_reads(
    steps: list[tuple[str, str, bool]], message: str
) -> None:
    run, follower, turns, lost = running(), Follower(), list[str](), 0
    for kind, text, received in steps:
        if received:
            follower.read(run, text)
        if kind == "retried":
            run = _retried(run)
        elif kind == "lost" and lost < 2:
            lost += 1
            run = leased(lifecycle.recover(run, now=LATER)[0])
        elif kind == "tools":
            # Its text is complete only now. A client that received a part of it receives the rest.
            turns.append(text)
            run = lifecycle.require_tools(run, END, text, (TOOL,), now=LATER)[0]
            run = leased(lifecycle.accept_tool_outputs(run, {"call_1": "x"}, now=LATER)[0])
        else:
            run = _retried(run)
    follower.read(lifecycle.complete(run, END, {"message": message}, now=LATER)[0])
    assert (follower.text, follower.turns, follower.end) == (message, turns, "run.completed")
