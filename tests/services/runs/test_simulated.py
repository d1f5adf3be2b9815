"""The built-in provider."""

import pytest

from services.runs.domain.request import Message, ModelRequest, ToolCall
from services.runs.errors import ProviderFailed
from services.runs.gateways.model import Counted, Ended, Stop, Text
from services.runs.gateways.simulated import SimulatedModel
from shared.meters import Meter


def _answer(asked: str, *, cap: int = 4_096, slept: list[float] | None = None) -> tuple[str, Ended]:
    waits = slept if slept is not None else []
    model = SimulatedModel(sleep=waits.append)
    *texts, ended = model.stream(ModelRequest("simulated", "gpt-4", (Message("user", asked),), cap))
    assert isinstance(ended, Ended)
    return "".join(text.text for text in texts if isinstance(text, Text)), ended


class TestSimulatedModel:
    def test_answers_the_same_to_the_same(self) -> None:
        assert _answer("Hello, world!") == _answer("Hello, world!")

    def test_says_what_it_heard(self) -> None:
        assert _answer("Hello, world!")[0] == "This is a simulated answer. You said: Hello, world!"

    def test_answers_as_long_as_it_is_told(self) -> None:
        message, ended = _answer("[[tokens 500]] go on")
        assert len(message.split()) == ended.meters[Meter.TOKENS_OUT] == 500

    def test_never_answers_longer_than_the_cap(self) -> None:
        message, ended = _answer("[[tokens 500]] go on", cap=20)
        assert len(message.split()) == ended.meters[Meter.TOKENS_OUT] == 20

    def test_waits_before_each_chunk(self) -> None:
        slept: list[float] = []
        _answer("[[tokens 33]] [[delay 200]]", slept=slept)
        assert slept == [0.2, 0.2, 0.2]

    def test_waits_ten_seconds_at_most(self) -> None:
        slept: list[float] = []
        _answer("[[tokens 1]] [[delay 999999]]", slept=slept)
        assert slept == [10.0]

    def test_takes_no_longer_than_the_call_may(self) -> None:
        slept: list[float] = []
        with pytest.raises(ProviderFailed) as failed:
            _answer("[[tokens 900000]] [[delay 10000]]", cap=900_000, slept=slept)
        assert (failed.value.code, sum(slept)) == ("ProviderTimeout", 120)

    def test_reads_the_arguments_of_tools_to_their_end(self) -> None:
        directive = '[[tool find {"path": {"a": "}]]"}}]]'
        message, ended = _answer(f"{directive} Well?")
        assert message == ""
        assert ended.tool_calls == (ToolCall("call_1", "find", '{"path": {"a": "}]]"}}'),)

    def test_asks_for_no_tool_whose_arguments_are_longer_than_the_cap(self) -> None:
        directive = '[[tool find {"path": "' + "x " * 21 + '"}]]'
        cut, whole = _answer(directive, cap=20)[1], _answer(directive, cap=30)[1]
        assert (cut.tool_calls, cut.stop, cut.meters[Meter.TOKENS_OUT]) == ((), Stop.LENGTH, 20)
        assert (len(whole.tool_calls), whole.meters[Meter.TOKENS_OUT]) == (1, 23)

    def test_is_not_held_up_by_directives_without_end(self) -> None:
        assert _answer("[[tool a {" * 100_000 + '[[tool a {"b": ' * 1_000)[1].tool_calls == ()

    def test_never_counts_more_input_than_there_are_bytes(self) -> None:
        assert _answer("ü" * 10)[1].meters[Meter.TOKENS_IN] == 5

    def test_says_first_what_it_has_counted_of_the_input(self) -> None:
        parts = SimulatedModel().stream(ModelRequest("simulated", "gpt-4", (Message("user", "12345678"),), 10))
        assert next(parts) == Counted({Meter.TOKENS_IN: 2})

    def test_stops_at_the_cap_and_says_so(self) -> None:
        assert _answer("[[tokens 500]]", cap=20)[1].stop is Stop.LENGTH

    @pytest.mark.parametrize(
        ("status", "code", "retry"),
        [(429, "ProviderRateLimited", True), (500, "ProviderUnavailable", True), (400, "ProviderRejected", False)],
    )
    def test_fails_as_it_is_told(self, status: int, code: str, retry: bool) -> None:  # noqa: FBT001 — a parameter of pytest's
        with pytest.raises(ProviderFailed) as raised:
            _answer(f"[[error {status}]]")
        assert (raised.value.code, raised.value.retry, raised.value.usage_known) == (code, retry, True)

    def test_breaks_off_as_it_is_told(self) -> None:
        parts = SimulatedModel().stream(ModelRequest("simulated", "m", (Message("user", "[[cut]] [[tokens 40]]"),), 99))
        seen = [next(parts), next(parts)]
        assert isinstance(seen[1], Text)
        with pytest.raises(ProviderFailed) as raised:
            next(parts)
        assert (raised.value.code, raised.value.usage_known) == ("StreamTruncated", False)

    def test_calls_tools_in_parallel_until_they_are_answered(self) -> None:
        asked = Message("user", '[[tool weather {"city": "Wien"}]] [[tool time {}]]')
        calls = (ToolCall("call_1", "weather", '{"city": "Wien"}'), ToolCall("call_2", "time", "{}"))
        *_, ended = SimulatedModel().stream(ModelRequest("simulated", "m", (asked,), 99))
        assert isinstance(ended, Ended)
        assert (ended.stop, ended.tool_calls) == (Stop.TOOL_CALLS, calls)
        outputs = tuple(Message("tool", "ok", tool_call_id=call.id) for call in calls)
        turn = Message("assistant", "", tool_calls=calls)
        *_, ended = SimulatedModel().stream(ModelRequest("simulated", "m", (asked, turn, *outputs), 99))
        assert isinstance(ended, Ended)
        assert ended.stop is Stop.ANSWERED
