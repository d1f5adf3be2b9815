"""Every provider in every case as a run: state, attempts, calls, usage and remaining budget."""

import pytest

from services.runs.providers.domain.model import StopReason
from services.runs.runs.domain.run import FinishReason, Outcome, Run, Status
from shared.meters import Meter, Meters
from tests.services.runs.providers.adapters import ADAPTERS, answered
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
            assert (run.status, run.tool_calls) == (Status.REQUIRES_ACTION, CALLS)
            assert stage.left() == left_after(*[COMPLETE] * (handed_in + 1))
            run = stage.continue_with(run)
        done = run
        assert (done.status, done.output) == (Status.COMPLETED, {"message": "Hello, world"})
        outcomes = [attempt.outcome for attempt in done.attempts]
        assert outcomes == [Outcome.REQUIRES_ACTION, Outcome.REQUIRES_ACTION, Outcome.COMPLETED]
        assert done.usage == {meter: 3 * count for meter, count in COMPLETE.items()} | ONCE
        assert stage.left() == left_after(COMPLETE, COMPLETE, COMPLETE)


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
