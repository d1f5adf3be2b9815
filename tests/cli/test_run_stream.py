"""The event stream of a run."""

from collections.abc import Sequence

import pytest

from cli.api import ApiRequest, ApiResponse
from cli.errors import CommandRefused
from cli.run_stream import ReceivedEvent, follow_run, format_event, lines_of, parse_events

URL = "http://run"
FIRST = (
    'retry: 300\n\nid: a\nevent: run.delta\ndata: {"text":"Hel"}\n\nid: b\nevent: run.delta\ndata: {"text":"lo"}\n\n'
)
LAST = 'retry: 300\n\nid: c\nevent: run.completed\ndata: {"status":"completed"}\n\n'


class FakeStream:
    """Returns these responses in order, and records the event id in each request."""

    def __init__(self, responses: Sequence[ApiResponse]) -> None:
        self._responses = iter(responses)
        self.last_ids: list[str | None] = []

    def __call__(self, request: ApiRequest) -> ApiResponse:
        """Return the next response."""
        assert (request.url, request.token) == (f"{URL}/stream", "t")
        self.last_ids.append(request.headers.get("Last-Event-ID"))
        return next(self._responses)


class TestFollowRun:
    def test_continues_after_the_last_event_until_the_stream_ends(self) -> None:
        stream = FakeStream(
            [
                ApiResponse(200, FIRST),
                ApiResponse(200, "retry: 300\n\n"),
                ApiResponse(200, LAST),
                ApiResponse(204, None),
            ]
        )
        pauses: list[None] = []
        events = list(follow_run(URL, "t", send=stream, pause=lambda: pauses.append(None)))
        assert [event.name for event in events] == ["run.delta", "run.delta", "run.completed"]
        assert stream.last_ids == [None, "b", "b", "c"]
        assert len(pauses) == 3

    def test_reports_the_error_of_the_api(self) -> None:
        stream = FakeStream([ApiResponse(404, {"error": "NotFound", "message": "There is no such run."})])
        with pytest.raises(CommandRefused, match=r"^NotFound: There is no such run\.$"):
            list(follow_run(URL, "t", send=stream, pause=lambda: None))


class TestParseEvents:
    def test_have_id_name_and_data(self) -> None:
        assert list(parse_events(FIRST))[1] == ReceivedEvent("b", "run.delta", {"text": "lo"})

    def test_are_none_in_a_part_without_events(self) -> None:
        assert list(parse_events("retry: 300\n\n")) == []


class TestFormatStreamEvent:
    def test_is_the_text_of_deltas(self) -> None:
        assert "".join(format_event(event) for event in parse_events(FIRST)) == "Hello"

    def test_marks_restarts_tool_calls_and_the_end(self) -> None:
        assert format_event(ReceivedEvent("a", "run.restarted", {})) == "\n(again)\n"
        call = {"id": "call_1", "name": "weather", "arguments": "{}"}
        assert (
            format_event(ReceivedEvent("a", "run.requires_action", {"tool_calls": [call]})) == "\n(tool weather {})\n"
        )
        assert format_event(ReceivedEvent("a", "run.completed", {})) == "\n"


class TestLinesOfRun:
    def test_is_the_status_of_a_completed_run(self) -> None:
        assert lines_of({"status": "completed", "error": None}) == ["completed"]

    def test_is_the_error_of_a_failed_run(self) -> None:
        failed = {"status": "failed", "error": {"code": "Timeout", "message": "too long"}}
        assert lines_of(failed) == ["Timeout: too long"]
