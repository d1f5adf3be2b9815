"""Characters outside the basic plane, whose halves arrive in separate pieces of a stream."""

import pytest

from services.runs.providers.domain.model import StopReason
from services.runs.providers.gateway.streamed_text import joined
from services.runs.runs.domain.conversation import ToolCall
from services.runs.runs.domain.run import Status
from tests.services.runs.providers.adapters import ADAPTERS, answered
from tests.services.runs.providers.stage import ONCE, Stage, left_after
from tests.services.runs.providers.test_calls import COMPLETE
from tests.services.runs.providers.wire import Answer, halves

HIGH, LOW = "\ud83c", "\udf27"
RAIN = "🌧"
TEXTS = {
    "whole": ((f"a{RAIN}b",), f"a{RAIN}b"),
    "in two pieces": ((f"a{HIGH}", f"{LOW}b"), f"a{RAIN}b"),
    "alone in their pieces": (("a", HIGH, LOW, "b"), f"a{RAIN}b"),
    "with an empty piece between": ((HIGH, "", LOW), RAIN),
    "twice": ((HIGH, LOW + HIGH, LOW), RAIN * 2),
    "first half at the end": (("a", HIGH), "a\ufffd"),
    "first half in the middle": ((HIGH, "b"), "\ufffdb"),
    "second half": ((LOW, "b"), "\ufffdb"),
    "the wrong order": ((LOW, HIGH), "\ufffd\ufffd"),
}
ARGUMENTS = {
    "whole or in two pieces": ('{"c":"🌧    "}', '{"c":"🌧    "}'),
    "escaped, in two pieces": (r'{"c":"\ud83c\udf27"}', r'{"c":"\ud83c\udf27"}'),
    "escaped, first half": (r'{"c":"\ud83c"}', '{"c": "\ufffd"}'),
}
WEATHER = {"name": "weather", "parameters": {"type": "object"}}


def test_arguments_are_split_within_a_pair() -> None:
    first, second = halves(ARGUMENTS["whole or in two pieces"][0])
    assert (first[-1], second[0]) == (HIGH, LOW)
    assert joined(first + second) == ARGUMENTS["whole or in two pieces"][0]


@pytest.mark.parametrize("stage", ADAPTERS, ids=str, indirect=True)
@pytest.mark.report(8)
class TestHalves:
    @pytest.mark.parametrize(("pieces", "text"), TEXTS.values(), ids=TEXTS)
    def test_of_the_text_are_joined(self, stage: Stage, pieces: tuple[str, ...], text: str) -> None:
        stage.server.add_replies(answered(stage.adapter, Answer(pieces)))
        done = stage.execute(stage.submit())
        assert (done.status, done.output) == (Status.COMPLETED, {"message": text})
        assert [call.meters for call in done.calls] == [{**COMPLETE, **ONCE}]
        assert stage.left() == left_after(COMPLETE)

    @pytest.mark.parametrize(("sent", "arguments"), ARGUMENTS.values(), ids=ARGUMENTS)
    def test_of_arguments_are_joined(self, stage: Stage, sent: str, arguments: str) -> None:
        call = ToolCall("call_a", "weather", sent)
        stage.server.add_replies(answered(stage.adapter, Answer((), (call,), StopReason.TOOL_CALLS)))
        done = stage.execute(stage.submit(tools=[WEATHER]))
        assert (done.status, done.tool_calls) == (
            Status.REQUIRES_ACTION,
            (ToolCall("call_a", "weather", arguments),),
        )
        assert [call.meters for call in done.calls] == [{**COMPLETE, **ONCE}]
        assert stage.left() == left_after(COMPLETE)
