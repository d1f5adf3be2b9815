"""Following a run."""

from collections.abc import Sequence

import pytest

from cli.api import Answer, Request
from cli.errors import Refused
from cli.run_stream import StreamEvent, events_of, follow, lines_of, written

URL = "http://run"
FIRST = (
    'retry: 300\n\nid: a\nevent: run.delta\ndata: {"text":"Hel"}\n\nid: b\nevent: run.delta\ndata: {"text":"lo"}\n\n'
)
LAST = 'retry: 300\n\nid: c\nevent: run.completed\ndata: {"status":"completed"}\n\n'


class Stream:
    """Answers with these, one after the other, and notes from where it was asked."""

    def __init__(self, answers: Sequence[Answer]) -> None:
        self._answers = iter(answers)
        self.asked: list[str | None] = []

    def __call__(self, request: Request) -> Answer:
        """The next part."""
        assert (request.url, request.token) == (f"{URL}/stream", "t")
        self.asked.append(request.headers.get("Last-Event-ID"))
        return next(self._answers)


class TestFollow:
    def test_asks_again_from_the_last_event_until_nothing_more_comes(self) -> None:
        stream = Stream([Answer(200, FIRST), Answer(200, "retry: 300\n\n"), Answer(200, LAST), Answer(204, None)])
        pauses: list[None] = []
        told = list(follow(URL, "t", send=stream, pause=lambda: pauses.append(None)))
        assert [event.name for event in told] == ["run.delta", "run.delta", "run.completed"]
        assert stream.asked == [None, "b", "b", "c"]
        assert len(pauses) == 3

    def test_says_why_a_run_cannot_be_followed(self) -> None:
        stream = Stream([Answer(404, {"error": "NotFound", "message": "There is no such run."})])
        with pytest.raises(Refused, match=r"^NotFound: There is no such run\.$"):
            list(follow(URL, "t", send=stream, pause=lambda: None))


class TestEvents:
    def test_are_read_with_id_name_and_data(self) -> None:
        assert list(events_of(FIRST))[1] == StreamEvent("b", "run.delta", {"text": "lo"})

    def test_of_a_part_in_which_nothing_happened_are_none(self) -> None:
        assert list(events_of("retry: 300\n\n")) == []


class TestWritten:
    def test_is_the_text_as_it_comes(self) -> None:
        assert "".join(written(event) for event in events_of(FIRST)) == "Hello"

    def test_says_what_the_text_alone_would_not(self) -> None:
        assert written(StreamEvent("a", "run.restarted", {})) == "\n(again)\n"
        call = {"id": "call_1", "name": "weather", "arguments": "{}"}
        assert written(StreamEvent("a", "run.requires_action", {"tool_calls": [call]})) == "\n(tool weather {})\n"
        assert written(StreamEvent("a", "run.completed", {})) == "\n"


class TestLinesOf:
    def test_is_how_the_run_has_ended(self) -> None:
        assert lines_of({"status": "completed", "error": None}) == ["completed"]

    def test_is_the_reason_of_one_that_failed(self) -> None:
        failed = {"status": "failed", "error": {"code": "Timeout", "message": "too long"}}
        assert lines_of(failed) == ["Timeout: too long"]
