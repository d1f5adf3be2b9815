"""The events of a stream have the schema that the OpenAPI document gives them."""

import json
from dataclasses import replace

import pytest

from services.runs.runs.domain import lifecycle
from services.runs.runs.domain.conversation import ToolCall
from services.runs.runs.domain.run import CallEnd, Outcome, Run, RunError
from services.runs.streaming.domain import StreamCursor, events_after
from services.runs.streaming.schemas import RunStreamEvent
from tests.services.runs.examples import CALL, END, NOW, running, submitted

CUT = CallEnd(Outcome.FAILED, error=RunError("StreamTruncated", "Cut."))
TOOL = ToolCall("call_1", "weather", "{}")


def _restarted() -> Run:
    failed = lifecycle.end_call(running(), CUT, now=NOW)[0]
    return lifecycle.begin_call(failed, replace(CALL, number=2), now=NOW)


RUNS = {
    "completed": lifecycle.complete(running(), END, {"message": "Hello"}, now=NOW)[0],
    "failed": lifecycle.fail(running(), CUT, RunError("StreamTruncated", "Cut."), now=NOW)[0],
    "cancelled": lifecycle.cancel(submitted()[0], now=NOW)[0],
    "requires action": lifecycle.require_tools(running(), END, "", (TOOL,), now=NOW)[0],
    "restarted": _restarted(),
}


@pytest.mark.parametrize("state", RUNS)
def test_events_match_their_schema(state: str) -> None:
    received = events_after(running(), StreamCursor(), ["Hal"])[-1].cursor
    events = [
        {"id": event.cursor.to_text(), "event": event.name, "data": dict(event.data)}
        for event in events_after(RUNS[state], received if state == "restarted" else StreamCursor(), ["Hello"])
    ]
    assert events
    for event in events:
        parsed = RunStreamEvent.model_validate_json(json.dumps(event))
        assert parsed.model_dump() == event
