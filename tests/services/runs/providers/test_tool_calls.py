"""Tool calls as compatible servers stream them: ids, indexes and arguments in all variants."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from services.runs.providers.domain.model import StopReason
from services.runs.runs.domain.conversation import ToolCall
from services.runs.runs.domain.run import Outcome, Status
from tests.services.runs.providers.adapters import ADAPTERS, CHAT, CONVERSE, MESSAGES, Adapter, answered, framed, frames
from tests.services.runs.providers.bedrock_wire import frame
from tests.services.runs.providers.server import Reply
from tests.services.runs.providers.stage import AGAIN, ONCE, Stage, error_of, left_after
from tests.services.runs.providers.test_calls import COMPLETE
from tests.services.runs.providers.wire import Answer, data, event

WIEN, GRAZ = '{"city": "Wien"}', '{"city": "Graz"}'
TWO = (("a", "weather", WIEN), ("b", "time", GRAZ))
SAME = (("a", "weather", WIEN), ("b", "weather", GRAZ))
WEATHER = {"name": "weather", "parameters": {"type": "object"}}
Fragment = Mapping[str, Any]


def piece(
    index: int | None = None, call_id: str | None = None, name: str | None = None, arguments: str | None = None
) -> Fragment:
    """Return a fragment with these fields; missing ones are omitted."""
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    fields = {"index": index, "id": call_id, "function": function or None}
    return {key: value for key, value in fields.items() if value is not None}


STREAMS: dict[str, tuple[Sequence[Sequence[Fragment]], Sequence[tuple[str, str, str]]]] = {
    "by index": (
        [
            [piece(0, "a", "weather", "")],
            [piece(0, arguments=WIEN[:7])],
            [piece(0, arguments=WIEN[7:])],
            [piece(1, "b", "time", "")],
            [piece(1, arguments=GRAZ)],
        ],
        TWO,
    ),
    "by index, interleaved": (
        [
            [piece(0, "a", "weather"), piece(1, "b", "time")],
            [piece(1, arguments=GRAZ[:7]), piece(0, arguments=WIEN[:7])],
            [piece(0, arguments=WIEN[7:]), piece(1, arguments=GRAZ[7:])],
        ],
        TWO,
    ),
    "all with index 0": (
        [
            [piece(0, "a", "weather", "")],
            [piece(0, arguments=WIEN[:7])],
            [piece(0, arguments=WIEN[7:])],
            [piece(0, "b", "weather", "")],
            [piece(0, arguments=GRAZ[:7])],
            [piece(0, arguments=GRAZ[7:])],
        ],
        SAME,
    ),
    "all with index 0, whole": ([[piece(0, "a", "weather", WIEN)], [piece(0, "b", "weather", GRAZ)]], SAME),
    "all with index 0, in one chunk": ([[piece(0, "a", "weather", WIEN), piece(0, "b", "weather", GRAZ)]], SAME),
    "all with index 0, without ids": (
        [[piece(0, "", "weather", WIEN)], [piece(0, "", "weather", GRAZ)]],
        (("call_1_0", "weather", WIEN), ("call_1_1", "weather", GRAZ)),
    ),
    "all with index 0, ids in each fragment, interleaved": (
        [
            [piece(0, "a", "weather", WIEN[:7])],
            [piece(0, "b", "weather", GRAZ[:7])],
            [piece(0, "a", arguments=WIEN[7:])],
            [piece(0, "b", arguments=GRAZ[7:])],
        ],
        SAME,
    ),
    "without indexes": (
        [
            [piece(None, "a", "weather")],
            [piece(arguments=WIEN[:7])],
            [piece(arguments=WIEN[7:])],
            [piece(None, "b", "weather", GRAZ[:7])],
            [piece(arguments=GRAZ[7:])],
        ],
        SAME,
    ),
    "without indexes, by position": (
        [
            [piece(None, "a", "weather"), piece(None, "b", "time")],
            [piece(arguments=WIEN), piece(arguments=GRAZ)],
        ],
        TWO,
    ),
    "without indexes and ids": (
        [[piece(name="weather", arguments=WIEN)], [piece(name="time")], [piece(arguments=GRAZ)]],
        (("call_1_0", "weather", WIEN), ("call_1_1", "time", GRAZ)),
    ),
    "without indexes, ids and arguments": (
        [[piece(name="now")], [piece(name="now")]],
        (("call_1_0", "now", "{}"), ("call_1_1", "now", "{}")),
    ),
    "mixed": (
        [
            [piece(None, "a", "weather")],
            [piece(arguments=WIEN)],
            [piece(1, "b", "time")],
            [piece(1, arguments=GRAZ[:7])],
            [piece(arguments=GRAZ[7:])],
        ],
        TWO,
    ),
    "mixed, from an index to none": (
        [[piece(0, "a", "weather", WIEN)], [piece(None, "b", "time")], [piece(arguments=GRAZ)]],
        TWO,
    ),
    "the name in each fragment": (
        [[piece(0, "a", "weather", WIEN[:7])], [piece(0, None, "weather", WIEN[7:])], [piece(1, "b", "time", GRAZ)]],
        TWO,
    ),
    "another id in each fragment": (
        [[piece(0, "a", "weather", WIEN[:7])], [piece(0, "x", None, WIEN[7:])], [piece(1, "b", "time", GRAZ)]],
        TWO,
    ),
    "the id after the name": (
        [[piece(0, None, "weather", "")], [piece(0, "a", None, WIEN)], [piece(1, "b", "time", GRAZ)]],
        TWO,
    ),
    "the same id twice": (
        [[piece(0, "a", "weather", WIEN)], [piece(1, "a", "weather", GRAZ)]],
        (("a", "weather", WIEN), ("a_1", "weather", GRAZ)),
    ),
    "null for everything that is missing": (
        [
            [{"index": None, "id": "a", "type": None, "function": {"name": "weather", "arguments": None}}],
            [{"index": None, "id": None, "function": {"name": None, "arguments": WIEN}}],
            [{"index": None, "id": "b", "function": {"name": "time", "arguments": GRAZ}}],
            [{"index": None, "id": None, "function": None}],
        ],
        TWO,
    ),
}
EMPTY = {"empty": "", "null": "null", "white space": "  ", "an empty object": "{}"}
INVALID = {
    "a list": "[1]",
    "a text": '"Wien"',
    "a number": "5",
    "true": "true",
    "half an object": '{"city": "Wi',
    "two objects": '{"city": "Wien"}{"city": "Graz"}',
    "words": "Wien, please",
    "no number": '{"n": NaN}',
    "a deep list": "[" * 100_000,
}


def chunks(*deltas: Sequence[Fragment]) -> Reply:
    """Return an answer over Chat Completions with these lists of fragments."""
    payload = frames(CHAT, Answer((), stop=StopReason.TOOL_CALLS))
    calls = [data({"choices": [{"index": 0, "delta": {"tool_calls": list(one)}}]}) for one in deltas]
    return framed(CHAT, *payload.opening, *calls, *payload.closing)


def asks(adapter: Adapter, *, name: str = "weather", arguments: str = "{}") -> Reply:
    """Return an answer with one call."""
    return answered(adapter, Answer((), (ToolCall("a", name, arguments),), StopReason.TOOL_CALLS))


@pytest.mark.parametrize("stage", [CHAT], ids=str, indirect=True)
@pytest.mark.report(1)
class TestFragments:
    @pytest.mark.parametrize(("deltas", "calls"), STREAMS.values(), ids=STREAMS)
    def test_are_told_apart(
        self, stage: Stage, deltas: Sequence[Sequence[Fragment]], calls: Sequence[tuple[str, str, str]]
    ) -> None:
        stage.server.add_replies(chunks(*deltas))
        run = stage.execute(stage.submit(tools=[WEATHER]))
        assert (run.status, [(call.id, call.name, call.arguments) for call in run.tool_calls]) == (
            Status.REQUIRES_ACTION,
            list(calls),
        )
        assert [call.meters for call in run.calls] == [{**COMPLETE, **ONCE}]
        assert stage.left() == left_after(COMPLETE)

    def test_may_have_decoded_arguments(self, stage: Stage) -> None:
        stage.server.add_replies(
            chunks([{"index": 0, "id": "a", "function": {"name": "weather", "arguments": {"city": "Wien"}}}])
        )
        run = stage.execute(stage.submit(tools=[WEATHER]))
        assert run.tool_calls == (ToolCall("a", "weather", WIEN),)

    def test_without_ids_get_other_ids_in_each_turn(self, stage: Stage) -> None:
        stage.server.add_replies(*[chunks([piece(name="weather", arguments=WIEN)])] * 2)
        run = stage.execute(stage.submit(tools=[WEATHER]))
        again = stage.continue_with(run)
        assert run.tool_calls[0].id != again.tool_calls[0].id


@pytest.mark.parametrize("stage", ADAPTERS, ids=str, indirect=True)
@pytest.mark.report(1)
class TestArguments:
    @pytest.mark.parametrize("arguments", EMPTY.values(), ids=EMPTY)
    def test_that_are_empty_are_an_empty_object(self, stage: Stage, arguments: str) -> None:
        stage.server.add_replies(asks(stage.adapter, arguments=arguments), answered(stage.adapter))
        run = stage.execute(stage.submit(tools=[WEATHER]))
        assert (run.status, run.tool_calls) == (Status.REQUIRES_ACTION, (ToolCall("a", "weather", "{}"),))
        assert stage.continue_with(run).status is Status.COMPLETED
        assert stage.left() == left_after(COMPLETE, COMPLETE)

    @pytest.mark.parametrize("arguments", INVALID.values(), ids=INVALID)
    def test_that_are_no_object_fail_the_call(self, stage: Stage, arguments: str) -> None:
        stage.server.add_replies(asks(stage.adapter, arguments=arguments), answered(stage.adapter))
        done = stage.execute(stage.submit(tools=[WEATHER], max_output_tokens=2_000))
        assert (done.status, done.tool_calls) == (Status.COMPLETED, ())
        assert [(call.status, call.error_code, call.meters) for call in done.calls] == [
            (Outcome.FAILED, "ToolCallInvalid", {**COMPLETE, **ONCE}),
            (Outcome.COMPLETED, None, {**COMPLETE, **AGAIN}),
        ]
        assert done.attempts[0].usage_certain
        assert stage.left() == left_after(COMPLETE, COMPLETE)

    def test_that_are_never_an_object_fail_the_run(self, stage: Stage) -> None:
        stage.server.add_replies(*[asks(stage.adapter, arguments="[1]")] * 3)
        done = stage.execute(stage.submit(tools=[WEATHER]))
        assert (done.status, error_of(done), len(done.calls)) == (Status.FAILED, "ToolCallInvalid", 3)
        assert done.error
        assert done.error.message == "The model's arguments for the tool weather are not a JSON object."
        assert stage.left() == left_after(COMPLETE, COMPLETE, COMPLETE)

    def test_of_a_call_without_a_name_fail_it(self, stage: Stage) -> None:
        stage.server.add_replies(*[asks(stage.adapter, name="")] * 3)
        done = stage.execute(stage.submit(tools=[WEATHER]))
        assert (done.status, error_of(done)) == (Status.FAILED, "ToolCallInvalid")
        assert stage.left() == left_after(COMPLETE, COMPLETE, COMPLETE)

    def test_that_the_cap_has_cut_are_not_read(self, stage: Stage) -> None:
        cut = Answer(("So",), (ToolCall("a", "weather", INVALID["half an object"]),), StopReason.LENGTH)
        stage.server.add_replies(answered(stage.adapter, cut))
        done = stage.execute(stage.submit(tools=[WEATHER]))
        assert (done.status, done.output, done.tool_calls) == (Status.COMPLETED, {"message": "So"}, ())
        assert stage.left() == left_after(COMPLETE)

    def test_count_despite_another_stop_reason(self, stage: Stage) -> None:
        stage.server.add_replies(answered(stage.adapter, Answer((), (ToolCall("a", "weather", WIEN),))))
        run = stage.execute(stage.submit(tools=[WEATHER]))
        assert (run.status, run.tool_calls) == (Status.REQUIRES_ACTION, (ToolCall("a", "weather", WIEN),))


@pytest.mark.report(1)
class TestBlocks:
    """Servers behind the APIs of Anthropic and Bedrock that number every block 0."""

    @pytest.mark.parametrize("stage", [MESSAGES], ids=str, indirect=True)
    def test_of_messages_are_told_apart(self, stage: Stage) -> None:
        def block(call_id: str, name: str, arguments: str) -> list[bytes]:
            start: Mapping[str, Any] = {"type": "tool_use", "id": call_id, "name": name, "input": {}}
            return [
                event({"type": "content_block_start", "index": 0, "content_block": start}),
                *(
                    event({"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", **one}})
                    for one in ({"partial_json": arguments[:7]}, {"partial_json": arguments[7:]})
                ),
                event({"type": "content_block_stop", "index": 0}),
            ]

        payload = frames(MESSAGES, Answer((), stop=StopReason.TOOL_CALLS))
        blocks = [part for call in SAME for part in block(*call)]
        stage.server.add_replies(framed(MESSAGES, *payload.opening, *blocks, *payload.closing))
        run = stage.execute(stage.submit(tools=[WEATHER]))
        assert run.tool_calls == tuple(ToolCall(*call) for call in SAME)

    @pytest.mark.parametrize("stage", [MESSAGES], ids=str, indirect=True)
    def test_of_messages_may_have_their_input_at_the_start(self, stage: Stage) -> None:
        start = {"type": "tool_use", "id": "a", "name": "weather", "input": {"city": "Wien"}}
        payload = frames(MESSAGES, Answer((), stop=StopReason.TOOL_CALLS))
        begun = event({"type": "content_block_start", "index": 1, "content_block": start})
        stage.server.add_replies(framed(MESSAGES, *payload.opening, begun, *payload.closing))
        run = stage.execute(stage.submit(tools=[WEATHER]))
        assert run.tool_calls == (ToolCall("a", "weather", WIEN),)

    @pytest.mark.parametrize("stage", [CONVERSE], ids=str, indirect=True)
    def test_of_converse_are_told_apart(self, stage: Stage) -> None:
        def block(call_id: str, name: str, arguments: str) -> list[bytes]:
            start = {"toolUse": {"toolUseId": call_id, "name": name}}
            return [
                frame("event", "contentBlockStart", {"contentBlockIndex": 0, "start": start}),
                *(
                    frame("event", "contentBlockDelta", {"contentBlockIndex": 0, "delta": {"toolUse": {"input": one}}})
                    for one in (arguments[:7], arguments[7:])
                ),
            ]

        payload = frames(CONVERSE, Answer((), stop=StopReason.TOOL_CALLS))
        blocks = [part for call in SAME for part in block(*call)]
        stage.server.add_replies(framed(CONVERSE, *payload.opening, *blocks, *payload.closing))
        run = stage.execute(stage.submit(tools=[WEATHER]))
        assert run.tool_calls == tuple(ToolCall(*call) for call in SAME)

    @pytest.mark.parametrize("stage", [CONVERSE], ids=str, indirect=True)
    @pytest.mark.parametrize(
        ("reason", "code"), [("malformed_tool_use", "ToolCallInvalid"), ("malformed_model_output", "StreamCorrupt")]
    )
    def test_that_bedrock_cannot_read_fail_the_call(self, stage: Stage, reason: str, code: str) -> None:
        payload = frames(CONVERSE)
        malformed = framed(
            CONVERSE,
            *payload.opening,
            frame("event", "messageStop", {"stopReason": reason}),
            payload.closing[-1],
        )
        stage.server.add_replies(*[malformed] * 3)
        done = stage.execute(stage.submit(tools=[WEATHER]))
        assert (done.status, error_of(done)) == (Status.FAILED, code)
        assert stage.left() == left_after(COMPLETE, COMPLETE, COMPLETE)
