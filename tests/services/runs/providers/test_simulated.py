"""The built-in provider."""

import json
from dataclasses import replace
from typing import Any

import pytest

from services.runs.errors import CostUsedUp, ProviderFailed, TokensUsedUp
from services.runs.providers.domain.model import StopReason, StreamEnd, TextDelta, UsageUpdate
from services.runs.providers.domain.request import ModelRequest, ToolChoice, ToolDefinition
from services.runs.providers.gateway.prices import price_of
from services.runs.providers.gateway.simulated import SimulatedModel
from services.runs.runs.domain.conversation import Message, ToolCall
from shared.meters import Meter
from tests.services.runs.conftest import World, know_tenant
from tests.services.runs.workers import execute, submit


def _answer(asked: str, *, cap: int = 4_096, slept: list[float] | None = None) -> tuple[str, StreamEnd]:
    waits = slept if slept is not None else []
    model = SimulatedModel(sleep=waits.append)
    *texts, ended = model.stream(ModelRequest("simulated", "gpt-4", (Message("user", asked),), cap))
    assert isinstance(ended, StreamEnd)
    return "".join(text.text for text in texts if isinstance(text, TextDelta)), ended


SCHEMA = {"type": "object", "properties": {"title": {"const": "two  spaces"}, "n": {"type": "integer"}}}
WEATHER = ToolDefinition(
    "weather", "", {"type": "object", "properties": {"city": {"enum": ["Wien"]}}, "required": ["city"]}
)


def _request(*messages: Message, **changes: Any) -> ModelRequest:  # noqa: ANN401 — any field of a request
    return replace(ModelRequest("simulated", "gpt-4", messages, 4_096), **changes)


def _ended(request: ModelRequest) -> tuple[str, StreamEnd]:
    *parts, ended = SimulatedModel(sleep=lambda _: None).stream(request)
    assert isinstance(ended, StreamEnd)
    return "".join(part.text for part in parts if isinstance(part, TextDelta)), ended


class TestSimulatedModel:
    def test_is_deterministic(self) -> None:
        assert _answer("Hello, world!") == _answer("Hello, world!")

    def test_echoes_the_message(self) -> None:
        assert _answer("Hello, world!")[0] == "This is a simulated answer. You said: Hello, world!"

    def test_follows_the_tokens_directive(self) -> None:
        message, ended = _answer("[[tokens 500]] go on")
        assert len(message.split()) == ended.meters[Meter.TOKENS_OUT] == 500

    def test_never_exceeds_the_cap(self) -> None:
        message, ended = _answer("[[tokens 500]] go on", cap=20)
        assert len(message.split()) == ended.meters[Meter.TOKENS_OUT] == 20

    def test_delays_each_chunk(self) -> None:
        slept: list[float] = []
        _answer("[[tokens 33]] [[delay 200]]", slept=slept)
        assert slept == [0.2, 0.2, 0.2]

    def test_delays_at_most_ten_seconds(self) -> None:
        slept: list[float] = []
        _answer("[[tokens 1]] [[delay 999999]]", slept=slept)
        assert slept == [10.0]

    def test_respects_the_call_timeout(self) -> None:
        slept: list[float] = []
        with pytest.raises(ProviderFailed) as failed:
            _answer("[[tokens 900000]] [[delay 10000]]", cap=900_000, slept=slept)
        assert (failed.value.code, sum(slept)) == ("ProviderTimeout", 120)

    def test_reads_tool_arguments_to_their_end(self) -> None:
        directive = '[[tool find {"path": {"a": "}]]"}}]]'
        message, ended = _answer(f"{directive} Well?")
        assert message == ""
        assert ended.tool_calls == (ToolCall("call_1", "find", '{"path": {"a": "}]]"}}'),)

    def test_requests_no_tool_whose_arguments_exceed_the_cap(self) -> None:
        directive = '[[tool find {"path": "' + "x " * 21 + '"}]]'
        cut, whole = _answer(directive, cap=20)[1], _answer(directive, cap=30)[1]
        assert (cut.tool_calls, cut.stop, cut.meters[Meter.TOKENS_OUT]) == ((), StopReason.LENGTH, 20)
        assert (len(whole.tool_calls), whole.meters[Meter.TOKENS_OUT]) == (1, 23)

    def test_handles_unterminated_directives(self) -> None:
        assert _answer("[[tool a {" * 100_000 + '[[tool a {"b": ' * 1_000)[1].tool_calls == ()

    def test_never_counts_more_input_than_bytes(self) -> None:
        assert _answer("ü" * 10)[1].meters[Meter.TOKENS_IN] == 5

    def test_reports_the_input_usage_first(self) -> None:
        parts = SimulatedModel().stream(ModelRequest("simulated", "gpt-4", (Message("user", "12345678"),), 10))
        assert next(parts) == UsageUpdate({Meter.TOKENS_IN: 2})

    def test_stops_at_the_cap_with_reason_length(self) -> None:
        assert _answer("[[tokens 500]]", cap=20)[1].stop is StopReason.LENGTH

    @pytest.mark.parametrize(
        ("status", "code", "retry"),
        [(429, "ProviderRateLimited", True), (500, "ProviderUnavailable", True), (400, "ProviderRejected", False)],
    )
    def test_fails_on_the_error_directive(self, status: int, code: str, retry: bool) -> None:  # noqa: FBT001 — a parameter of pytest's
        with pytest.raises(ProviderFailed) as raised:
            _answer(f"[[error {status}]]")
        assert (raised.value.code, raised.value.retry, raised.value.usage_known) == (code, retry, True)

    def test_truncates_on_the_cut_directive(self) -> None:
        parts = SimulatedModel().stream(ModelRequest("simulated", "m", (Message("user", "[[cut]] [[tokens 40]]"),), 99))
        seen = [next(parts), next(parts)]
        assert isinstance(seen[1], TextDelta)
        with pytest.raises(ProviderFailed) as raised:
            next(parts)
        assert (raised.value.code, raised.value.usage_known) == ("StreamTruncated", False)

    def test_requests_tools_in_parallel_until_outputs_arrive(self) -> None:
        asked = Message("user", '[[tool weather {"city": "Wien"}]] [[tool time {}]]')
        calls = (ToolCall("call_1", "weather", '{"city": "Wien"}'), ToolCall("call_2", "time", "{}"))
        *_, ended = SimulatedModel().stream(ModelRequest("simulated", "m", (asked,), 99))
        assert isinstance(ended, StreamEnd)
        assert (ended.stop, ended.tool_calls) == (StopReason.TOOL_CALLS, calls)
        outputs = tuple(Message("tool", "ok", tool_call_id=call.id) for call in calls)
        turn = Message("assistant", "", tool_calls=calls)
        *_, ended = SimulatedModel().stream(ModelRequest("simulated", "m", (asked, turn, *outputs), 99))
        assert isinstance(ended, StreamEnd)
        assert ended.stop is StopReason.ANSWERED


@pytest.mark.report(15)
class TestStructuredAnswers:
    def test_are_the_value_of_the_schema_in_chunks(self) -> None:
        text, ended = _ended(_request(Message("user", "Hi [[tokens 1]]"), response_schema=SCHEMA))
        assert text == '{"title": "two  spaces", "n": 1}'
        assert (ended.stop, ended.meters[Meter.TOKENS_OUT]) == (StopReason.ANSWERED, 5)

    def test_stop_at_the_cap(self) -> None:
        text, ended = _ended(_request(Message("user", "Hi"), response_schema=SCHEMA, max_output_tokens=2))
        assert (text, ended.stop, ended.meters[Meter.TOKENS_OUT]) == ('{"title": "two', StopReason.LENGTH, 2)

    def test_are_refused_without_usage_if_no_value_fits(self) -> None:
        parts = SimulatedModel().stream(_request(Message("user", "Hi"), response_schema={"enum": []}))
        with pytest.raises(ProviderFailed) as raised:
            next(parts)
        failure = raised.value
        assert (failure.code, failure.retry, failure.usage_known) == ("ProviderRejected", False, True)
        assert str(failure).startswith("The response schema ")

    def test_come_after_the_outputs_of_tools(self) -> None:
        asked = Message("user", "[[tool weather]]")
        first = _ended(_request(asked, response_schema=SCHEMA, tools=(WEATHER,)))[1]
        turns = (Message("assistant", "", first.tool_calls), Message("tool", "snow", tool_call_id="call_1"))
        text, ended = _ended(_request(asked, *turns, response_schema=SCHEMA, tools=(WEATHER,)))
        assert (ended.tool_calls, text[:9]) == ((), '{"title":')


@pytest.mark.report(15)
class TestToolCalls:
    def test_have_arguments_that_fit_the_parameters(self) -> None:
        ended = _ended(_request(Message("user", "[[tool weather]]"), tools=(WEATHER,)))[1]
        assert ended.tool_calls == (ToolCall("call_1", "weather", '{"city": "Wien"}'),)
        assert (ended.stop, ended.meters[Meter.TOKENS_OUT]) == (StopReason.TOOL_CALLS, 2)

    def test_keep_given_arguments(self) -> None:
        ended = _ended(_request(Message("user", "[[tool weather {}]]"), tools=(WEATHER,)))[1]
        assert [call.arguments for call in ended.tool_calls] == ["{}"]

    def test_have_no_arguments_if_the_tool_is_unknown(self) -> None:
        ended = _ended(_request(Message("user", "[[tool other]]"), tools=(WEATHER,)))[1]
        assert [call.arguments for call in ended.tool_calls] == ["{}"]

    def test_fail_if_no_arguments_fit(self) -> None:
        tool = ToolDefinition("broken", "", {"type": "object", "properties": {"a": False}, "required": ["a"]})
        with pytest.raises(ProviderFailed) as raised:
            _ended(_request(Message("user", "[[tool broken]]"), tools=(tool,)))
        assert str(raised.value).startswith("The schema of the parameters of broken admits no value")

    def test_are_not_made_if_the_answer_stops_by_length(self) -> None:
        ended = _ended(_request(Message("user", "[[tool weather]] [[finish length]]"), tools=(WEATHER,)))[1]
        assert (ended.tool_calls, ended.stop, ended.meters[Meter.TOKENS_OUT]) == ((), StopReason.LENGTH, 1)


class TestToolOutputs:
    def test_are_repeated_in_their_order(self) -> None:
        calls = (ToolCall("call_1", "weather", "{}"), ToolCall("call_2", "time", "{}"))
        outputs = (Message("tool", "rain", tool_call_id="call_1"), Message("tool", "x" * 2_000, tool_call_id="call_2"))
        text, _ = _ended(_request(Message("user", "Well?"), Message("assistant", "", calls), *outputs))
        answer = "This is a simulated answer. You said: Well? weather returned: rain time returned: "
        assert text == answer + "x" * 1_000

    def test_of_earlier_messages_are_not_repeated(self) -> None:
        before = (Message("assistant", "", (ToolCall("a", "t", "{}"),)), Message("tool", "rain", tool_call_id="a"))
        text, _ = _ended(_request(Message("user", "One"), *before, Message("user", "Two")))
        assert text == "This is a simulated answer. You said: Two"


class TestFinish:
    def test_halves_the_answer(self) -> None:
        text, ended = _ended(_request(Message("user", "a b c [[finish length]]")))
        assert (text, ended.stop) == ("This is a simulated answer.", StopReason.LENGTH)

    def test_keeps_a_given_length(self) -> None:
        text, ended = _ended(_request(Message("user", "[[tokens 30]] [[finish length]]")))
        assert (len(text.split()), ended.stop) == (30, StopReason.LENGTH)


class TestUsage:
    def test_replaces_the_counts(self) -> None:
        usage = '{"tokens_in": 700, "tokens_cache_read": 600, "tokens_cache_write": 50, "tokens_reasoning": 4}'
        request = _request(Message("user", f"Hi [[usage {usage}]]"))
        assert next(SimulatedModel().stream(request)) == UsageUpdate({Meter.TOKENS_IN: 700})
        assert _ended(request)[1].meters == {
            Meter.TOKENS_IN: 700,
            Meter.TOKENS_OUT: 8,
            Meter.TOKENS_CACHE_READ: 600,
            Meter.TOKENS_CACHE_WRITE: 50,
            Meter.TOKENS_REASONING: 4,
        }

    @pytest.mark.parametrize("name", ["tokens_in", "tokens_cache_read", "tokens_out", "tokens_reasoning"])
    def test_never_exceeds_the_bound_of_the_call(self, name: str) -> None:
        usage = f'[[usage {{"tokens_cache_write": 999999, "{name}": 1000000}}]]'
        request = _request(Message("user", usage), max_output_tokens=50)
        meters = _ended(request)[1].meters
        assert meters[Meter.TOKENS_IN] <= request.input_bound_tokens
        assert meters[Meter.TOKENS_OUT] <= 50
        assert meters[Meter.TOKENS_IN] + meters[Meter.TOKENS_OUT] <= request.bound_tokens

    def test_ignores_the_usage_in_earlier_messages(self) -> None:
        messages = (Message("user", '[[usage {"tokens_in": 700}]]'), Message("user", "Hi"))
        assert _ended(_request(*messages))[1].meters[Meter.TOKENS_IN] == 8


class TestReportedUsageInRuns:
    MESSAGE = 'Hi [[usage {"tokens_in": 90000, "tokens_out": 20}]]'
    LIMIT = 100_000

    def test_is_reserved_and_deducted(self, world: World) -> None:
        know_tenant(world.store, seq=2, max_tokens_per_month=self.LIMIT)
        run = submit(world, message=self.MESSAGE)
        budget = world.budgets.find("2026-11")
        assert budget is not None
        assert budget.tokens_left <= self.LIMIT - 90_020
        done = execute(world, run)
        assert (done.usage[Meter.TOKENS_IN], done.usage[Meter.TOKENS_OUT]) == (90_000, 20)
        budget = world.budgets.find("2026-11")
        assert budget is not None
        assert budget.tokens_left == self.LIMIT - 90_020

    def test_is_refused_above_the_limit_of_the_month(self, world: World) -> None:
        know_tenant(world.store, seq=2, max_tokens_per_month=80_000)
        with pytest.raises(TokensUsedUp):
            submit(world, message=self.MESSAGE)

    def test_is_refused_above_the_cost_limit_of_the_run(self, world: World) -> None:
        with pytest.raises(CostUsedUp):
            submit(world, message=self.MESSAGE, price=price_of, max_cost_nano_usd=2_000_000_000)


class TestParameters:
    @pytest.mark.parametrize(
        ("choice", "asked", "names"),
        [
            (ToolChoice("required"), "Hi", ["time"]),
            (ToolChoice("tool", "weather"), "Hi", ["weather"]),
            (ToolChoice("tool", "weather"), "[[tool time]]", ["weather"]),
            (ToolChoice("required"), "[[tool weather]] [[tool time]]", ["weather", "time"]),
            (ToolChoice("none"), "[[tool weather]]", []),
            (ToolChoice("auto"), "Hi", []),
            (None, "[[tool weather]]", ["weather"]),
        ],
    )
    def test_choose_the_tools(self, choice: ToolChoice | None, asked: str, names: list[str]) -> None:
        tools = (ToolDefinition("time", "", {}), WEATHER)
        _, ended = _ended(_request(Message("user", asked), tools=tools, tool_choice=choice))
        assert [call.name for call in ended.tool_calls] == names
        assert all(
            json.loads(call.arguments) == ({"city": "Wien"} if call.name == "weather" else {})
            for call in ended.tool_calls
        )
        assert ended.stop is (StopReason.TOOL_CALLS if names else StopReason.ANSWERED)

    def test_limit_each_turn_to_one_call(self) -> None:
        asked = Message("user", "[[tool weather]] [[tool time]]")
        _, ended = _ended(_request(asked, parallel_tool_calls=False))
        assert [call.id for call in ended.tool_calls] == ["call_1"]
        turn = (Message("assistant", "", ended.tool_calls), Message("tool", "snow", tool_call_id="call_1"))
        _, ended = _ended(_request(asked, *turn, parallel_tool_calls=False))
        assert [call.id for call in ended.tool_calls] == ["call_2"]

    @pytest.mark.parametrize(
        ("stop", "text"),
        [
            (("You", "answer"), "This is a simulated"),
            (("ulated an",), "This is a sim"),
            (("This",), ""),
            (("absent",), "This is a simulated answer. You said: Hi"),
        ],
    )
    def test_stop_before_the_text(self, stop: tuple[str, ...], text: str) -> None:
        answer, ended = _ended(_request(Message("user", "Hi"), stop=stop))
        assert (answer, ended.stop) == (text, StopReason.ANSWERED)
        assert ended.meters[Meter.TOKENS_OUT] == len(text.split())
