"""Every provider in every case as a run: state, attempts, calls, usage and remaining budget."""

import json
from typing import Any

import pytest

from services.runs.errors import ToolOutputsMismatch
from services.runs.providers.domain.model import StopReason
from services.runs.providers.domain.request import Api
from services.runs.runs.domain.run import FinishReason, Outcome, Run, Status
from shared.meters import Meter, Meters
from tests.services.runs.providers.adapters import ADAPTERS, CONVERSE, answered
from tests.services.runs.providers.stage import AGAIN, ONCE, Stage, error_of, left_after
from tests.services.runs.providers.test_calls import AROUND_30_S, CALLS, FAILURES, FIRST, SUCCESSES, Failure, Success
from tests.services.runs.providers.wire import Answer

RETRIED = {name: case for name, case in FAILURES.items() if case.retry}
WEATHER = {"name": "weather", "parameters": {"type": "object"}}
NUMBER = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
FINISHES = {
    StopReason.ANSWERED: FinishReason.STOP,
    StopReason.LENGTH: FinishReason.LENGTH,
    StopReason.TOOL_CALLS: FinishReason.TOOL_CALLS,
    StopReason.REFUSED: FinishReason.CONTENT_FILTER,
}
COMPLETE = {Meter.TOKENS_IN: 12, Meter.TOKENS_OUT: 5}


EACH = pytest.mark.parametrize("stage", ADAPTERS, ids=str, indirect=True)


def used_by_failure(stage: Stage, run: Run, case: Failure) -> dict[Meter, int]:
    """Return the expected usage of a call that failed like this."""
    counts: Meters = FIRST if case.counts and stage.adapter.counts_first else {}
    assert run.open_call
    if not case.usage_known and case.text:
        counts = {**counts, Meter.TOKENS_OUT: -(-len(case.text) // 4)}
    payload = sum(counts.values())
    uncertain = {} if case.usage_known else {Meter.TOKENS_UNCERTAIN: run.open_call.bound_tokens - payload}
    return {**counts, **uncertain, **ONCE}


def pause_after(case: Failure) -> float:
    """Return the provider's Retry-After, at most 20 s, or the default pause."""
    if case.retry_after_s is None:
        return 0.5  # full jitter at its maximum
    return 20 if case.retry_after_s is AROUND_30_S else case.retry_after_s


@EACH
class TestResponses:
    @pytest.mark.parametrize("case", SUCCESSES.values(), ids=SUCCESSES)
    def test_lead_to_the_expected_state(self, stage: Stage, case: Success) -> None:
        stage.server.add_replies(answered(stage.adapter, case.answer))
        done = stage.execute(stage.submit(tools=[WEATHER]))
        expected = {
            StopReason.TOOL_CALLS: (Status.REQUIRES_ACTION, Outcome.REQUIRES_ACTION, None),
            StopReason.REFUSED: (Status.FAILED, Outcome.FAILED, None),
        }.get(case.answer.stop, (Status.COMPLETED, Outcome.COMPLETED, {"message": case.text}))
        [attempt] = done.attempts
        assert (done.status, attempt.outcome, done.output) == expected
        assert done.tool_calls == case.calls
        assert [(call.provider, call.model, call.simulated) for call in attempt.calls] == [
            (stage.adapter.provider, "m", False)
        ]
        assert attempt.calls[0].meters == {**stage.counted(case.meters), **ONCE}
        assert attempt.usage_certain
        assert (attempt.calls[0].usage_estimated, attempt.calls[0].finish_reason) == (False, FINISHES[case.answer.stop])
        assert done.finish_reason is FINISHES[case.answer.stop]
        assert stage.left() == left_after(case.meters)


@EACH
class TestFailures:
    @pytest.mark.parametrize("case", FAILURES.values(), ids=FAILURES)
    def test_are_retried_or_end_the_run_and_are_counted_exactly(self, stage: Stage, case: Failure) -> None:
        slept: list[float] = []
        stage.server.add_replies(case.reply(stage.adapter), *([answered(stage.adapter)] if case.retry else []))
        run = stage.submit(timeout_s=case.timeout_s)
        done = stage.execute(run, slept=slept)
        [attempt] = done.attempts
        first, *more = attempt.calls
        assert (first.status, first.error_code) == (Outcome.FAILED, case.code)
        assert first.meters == used_by_failure(stage, run, case)
        assert (first.usage_certain, attempt.usage_certain) == (case.usage_known, case.usage_known)
        assert (first.usage_estimated, first.finish_reason) == (bool(case.text), None)
        assert slept == ([pause_after(case)] if case.retry else [])
        assert stage.left() == left_after(used_by_failure(stage, run, case), *([COMPLETE] if case.retry else []))
        if case.retry:
            assert (done.status, done.output, done.error) == (Status.COMPLETED, {"message": "Hello, world"}, None)
            assert [(call.number, call.status, call.meters) for call in more] == [
                (2, Outcome.COMPLETED, {**COMPLETE, **AGAIN})
            ]
        else:
            assert (done.status, done.output, error_of(done), more) == (Status.FAILED, None, case.code, [])

    @pytest.mark.parametrize("name", ["429", "529", "truncated", "cut in the middle", "corrupt chunk"])
    def test_that_persist_end_the_run_after_three_calls(self, stage: Stage, name: str) -> None:
        case = RETRIED[name]
        stage.server.add_replies(*[case.reply(stage.adapter)] * 3)
        run = stage.submit()
        done = stage.execute(run)
        assert (done.status, error_of(done), done.output) == (Status.FAILED, case.code, None)
        assert [call.status for call in done.calls] == [Outcome.FAILED] * 3
        idempotency_key = used_by_failure(stage, run, case)
        assert done.usage == {meter: 3 * count for meter, count in idempotency_key.items()} | ONCE
        assert done.attempts[0].usage_certain == case.usage_known
        assert stage.left() == left_after(idempotency_key, idempotency_key, idempotency_key)


@EACH
class TestTools:
    def test_count_parallel_calls_and_two_turns_as_one_request(self, stage: Stage) -> None:
        asks = answered(stage.adapter, Answer((), CALLS, StopReason.TOOL_CALLS))
        stage.server.add_replies(asks, asks, answered(stage.adapter))
        run = stage.execute(stage.submit(tools=[WEATHER]))
        for handed_in in range(2):
            assert run.status is Status.REQUIRES_ACTION
            assert [(call.name, call.arguments) for call in run.tool_calls] == [
                (call.name, call.arguments) for call in CALLS
            ]
            assert stage.left() == left_after(*[COMPLETE] * (handed_in + 1))
            run = stage.continue_with(run)
        done = run
        assert (done.status, done.output) == (Status.COMPLETED, {"message": "Hello, world"})
        outcomes = [attempt.outcome for attempt in done.attempts]
        assert outcomes == [Outcome.REQUIRES_ACTION, Outcome.REQUIRES_ACTION, Outcome.COMPLETED]
        assert done.usage == {meter: 3 * count for meter, count in COMPLETE.items()} | ONCE
        assert stage.left() == left_after(COMPLETE, COMPLETE, COMPLETE)


PARAMETERS: dict[str, Any] = {
    "top_p": 0.5,
    "stop": ["END"],
    "seed": 7,
    "tool_choice": {"tool": "weather"},
    "parallel_tool_calls": False,
}
SENT_PARAMETERS: dict[Api, dict[str, Any]] = {
    "chat": {
        "top_p": 0.5,
        "stop": ["END"],
        "seed": 7,
        "tool_choice": {"type": "function", "function": {"name": "weather"}},
        "parallel_tool_calls": False,
    },
    "responses": {
        "top_p": 0.5,
        "tool_choice": {"type": "function", "name": "weather"},
        "parallel_tool_calls": False,
    },
    "messages": {
        "top_p": 0.5,
        "stop_sequences": ["END"],
        "tool_choice": {"type": "tool", "name": "weather", "disable_parallel_tool_use": True},
    },
    "converse": {"topP": 0.5, "stopSequences": ["END"], "toolChoice": {"tool": {"name": "weather"}}},
}
OMITTED = {
    "chat": (),
    "responses": ("stop", "seed"),
    "messages": ("seed",),
    "converse": ("seed", "parallel_tool_calls"),
}
"""The parameters that each API lacks. They are left out with a warning."""
CHOICES: dict[Api, dict[str, Any]] = {
    "chat": {"auto": "auto", "none": "none", "required": "required"},
    "responses": {"auto": "auto", "none": "none", "required": "required"},
    "messages": {
        "auto": {"type": "auto", "disable_parallel_tool_use": False},
        "none": {"type": "none"},
        "required": {"type": "any", "disable_parallel_tool_use": False},
    },
    "converse": {"auto": {"auto": {}}, "none": None, "required": {"any": {}}},
}
"""The choice in each API. Converse has no choice against all tools, so none are sent."""
ALL_NAMES = {name for sent in SENT_PARAMETERS.values() for name in sent}


def sent_parameters(stage: Stage) -> dict[str, Any]:
    """Return the parameters of the last request, without those that every request has."""
    body = stage.server.received[-1].body
    fields = {**body, **body.get("inferenceConfig", {}), **body.get("toolConfig", {})}
    return {name: fields[name] for name in fields.keys() & ALL_NAMES}


@EACH
class TestParameters:
    @pytest.mark.parametrize("of", ["agent", "run", "both"])
    def test_are_sent_or_left_out_with_a_warning(self, stage: Stage, of: str) -> None:
        stage.server.add_replies(answered(stage.adapter))
        others: dict[str, Any] = {
            "top_p": 0.9,
            "stop": ["X"],
            "seed": 8,
            "tool_choice": "none",
            "parallel_tool_calls": True,
        }
        config: dict[str, Any] = {"agent": PARAMETERS, "run": {}, "both": others}[of]
        run = stage.submit(tools=[WEATHER], parameters={} if of == "agent" else PARAMETERS, **config)
        done = stage.execute(run)
        assert sent_parameters(stage) == SENT_PARAMETERS[stage.adapter.api]
        assert done.calls[0].omitted == OMITTED[stage.adapter.api]
        assert (done.status, done.usage, stage.left()) == (Status.COMPLETED, {**COMPLETE, **ONCE}, left_after(COMPLETE))

    @pytest.mark.parametrize("mode", ["auto", "none", "required"])
    def test_of_tools_have_the_names_of_the_api(self, stage: Stage, mode: str) -> None:
        stage.server.add_replies(answered(stage.adapter))
        stage.execute(stage.submit(tools=[WEATHER], parameters={"tool_choice": mode}))
        name = "toolChoice" if stage.adapter is CONVERSE else "tool_choice"
        assert sent_parameters(stage).get(name) == CHOICES[stage.adapter.api][mode]

    def test_that_force_a_tool_end_with_its_output(self, stage: Stage) -> None:
        asks = answered(stage.adapter, Answer((), CALLS, StopReason.TOOL_CALLS))
        stage.server.add_replies(asks, answered(stage.adapter))
        run = stage.execute(stage.submit(tools=[WEATHER], parameters={"tool_choice": "required"}))
        done = stage.continue_with(run)
        name = "toolChoice" if stage.adapter is CONVERSE else "tool_choice"
        assert sent_parameters(stage)[name] == CHOICES[stage.adapter.api]["auto"]
        assert (done.status, stage.left()) == (Status.COMPLETED, left_after(COMPLETE, COMPLETE))


@EACH
class TestReusedIds:
    """A server that begins again with the same ids in each turn."""

    def test_are_made_unique_and_sent_back_in_pairs(self, stage: Stage) -> None:
        asks = answered(stage.adapter, Answer((), CALLS, StopReason.TOOL_CALLS))
        stage.server.add_replies(asks, asks, answered(stage.adapter))
        first = stage.execute(stage.submit(tools=[WEATHER]))
        second = stage.continue_with(first, "snow")
        ids = [call.id for run in (first, second) for call in run.tool_calls]
        assert len(set(ids)) == len(ids) == 2 * len(CALLS)
        done = stage.continue_with(second, "rain")
        body = json.dumps(stage.server.received[-1].body)
        assert [body.count(f'"{call_id}"') for call_id in ids] == [2] * len(ids)
        assert (done.status, [turn.content for turn in done.turns if turn.role == "tool"]) == (
            Status.COMPLETED,
            [*["snow"] * len(CALLS), *["rain"] * len(CALLS)],
        )

    def test_let_a_repeated_request_change_nothing(self, stage: Stage) -> None:
        asks = answered(stage.adapter, Answer((), CALLS, StopReason.TOOL_CALLS))
        stage.server.add_replies(asks, asks)
        first = stage.execute(stage.submit(tools=[WEATHER]))
        second = stage.continue_with(first, "snow")
        again = stage.submit_outputs(first, "snow")
        assert (again.status, again.turns) == (Status.REQUIRES_ACTION, second.turns)
        with pytest.raises(ToolOutputsMismatch):
            stage.submit_outputs(first, "rain")


@EACH
class TestStructuredOutput:
    def test_is_returned_as_data(self, stage: Stage) -> None:
        stage.server.add_replies(answered(stage.adapter, Answer(('{"n":', " 4}"))))
        done = stage.execute(stage.submit(response_schema=NUMBER))
        assert (done.status, done.output) == (Status.COMPLETED, {"message": '{"n": 4}', "data": {"n": 4}})
        assert done.usage == {**COMPLETE, **ONCE}
        assert stage.left() == left_after(COMPLETE)

    def test_is_repaired_once_and_both_calls_are_counted(self, stage: Stage) -> None:
        stage.server.add_replies(answered(stage.adapter), answered(stage.adapter, Answer(('{"n": 4}',))))
        done = stage.execute(stage.submit(response_schema=NUMBER))
        assert (done.status, done.output) == (Status.COMPLETED, {"message": '{"n": 4}', "data": {"n": 4}})
        assert [call.meters for call in done.calls] == [{**COMPLETE, **ONCE}, {**COMPLETE, **AGAIN}]
        assert done.attempts[0].usage_certain
        assert stage.left() == left_after(COMPLETE, COMPLETE)

    def test_fails_the_run_when_the_repair_does_not_fit(self, stage: Stage) -> None:
        stage.server.add_replies(answered(stage.adapter), answered(stage.adapter))
        done = stage.execute(stage.submit(response_schema=NUMBER))
        assert (done.status, error_of(done), len(done.calls)) == (Status.FAILED, "OutputInvalid", 2)
        assert done.finish_reason is FinishReason.STOP
        assert done.error
        assert done.error.output
        assert (done.error.output.text, done.error.output.is_truncated) == ("Hello, world", False)
        assert done.usage == {meter: 2 * count for meter, count in COMPLETE.items()} | ONCE
        assert stage.left() == left_after(COMPLETE, COMPLETE)
