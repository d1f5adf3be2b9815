"""The state transitions of a run."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.runs.errors import RunAlreadyEnded, ToolOutputsMismatch
from services.runs.runs.domain import lifecycle
from services.runs.runs.domain.conversation import ToolCall
from services.runs.runs.domain.run import Attempt, CallEnd, Cost, FinishReason, Outcome, Run, RunError, Status
from shared.events.envelope import Event
from shared.events.runs import RunCancelled, RunCompleted, RunEvent, RunFailed, RunQueued, UsageRecorded
from shared.meters import Meter
from tests.services.runs.examples import CALL, END, NOW, OUTPUT, RUN_ID, USED, leased, running, submitted

LATER = NOW + timedelta(seconds=2)
ERROR = RunError("ProviderUnavailable", "Not now.")
TOOLS = (ToolCall("call_1", "weather", '{"city": "Wien"}'), ToolCall("call_2", "time", "{}"))


def _usage(event: Event[RunEvent]) -> UsageRecorded:
    assert isinstance(event.data, UsageRecorded)
    return event.data


def _waiting() -> Run:
    return lifecycle.require_tools(running(), END, "Let me see.", TOOLS, now=LATER)[0]


class TestSubmit:
    def test_queues_the_run(self) -> None:
        run, events = submitted()
        assert run.status is Status.QUEUED
        assert [(event.id, event.type, event.seq) for event in events] == [(f"{RUN_ID}:queued:1", RunQueued.TYPE, 1)]

    def test_does_not_queue_a_waited_run(self) -> None:
        run, events = submitted(waited=True)
        assert events == []
        assert run.due_at == NOW + timedelta(seconds=30)

    def test_is_due_soon(self) -> None:
        assert submitted()[0].due_at == NOW + timedelta(seconds=20)


class TestUsageEvent:
    @pytest.mark.report(12)
    def test_has_the_cache_writes_and_their_detail(self) -> None:
        written = {Meter.TOKENS_IN: 9, Meter.TOKENS_CACHE_WRITE: 9, Meter.TOKENS_CACHE_WRITE_1H: 4}
        done, events = lifecycle.complete(running(), CallEnd(Outcome.COMPLETED, written), OUTPUT, now=LATER)
        assert done.usage[Meter.TOKENS_CACHE_WRITE_1H] == 4
        published = _usage(events[0]).meters
        assert (published[Meter.TOKENS_CACHE_WRITE], published[Meter.TOKENS_CACHE_WRITE_1H]) == (9, 4)

    @pytest.mark.parametrize("is_estimated", [False, True])
    def test_shows_whether_the_usage_is_estimated(self, *, is_estimated: bool) -> None:
        end = CallEnd(Outcome.COMPLETED, {Meter.TOKENS_OUT: 9}, usage_estimated=is_estimated)
        _, events = lifecycle.complete(running(), end, OUTPUT, now=LATER)
        assert _usage(events[0]).usage_estimated is is_estimated


class TestComplete:
    def test_ends_the_run_and_publishes_its_usage(self) -> None:
        run, (usage, completed) = lifecycle.complete(running(), END, OUTPUT, now=LATER)
        assert (run.status, run.output, run.due_at, run.open_call) == (Status.COMPLETED, OUTPUT, None, None)
        assert _usage(usage).meters == {**USED, Meter.COMPUTE_MS: 2_000, Meter.REQUESTS: 1}
        assert isinstance(completed.data, RunCompleted)
        assert run.attempts[0].outcome is Outcome.COMPLETED

    def test_gives_each_event_an_idempotent_id(self) -> None:
        _, events = lifecycle.complete(running(), END, OUTPUT, now=LATER)
        assert [event.id for event in events] == [f"{RUN_ID}:1:1", f"{RUN_ID}:1:completed"]

    def test_counts_the_call_in_its_planned_month(self) -> None:
        _, (usage, _) = lifecycle.complete(running(), END, OUTPUT, now=NOW + timedelta(days=30))
        assert _usage(usage).period == "2026-11"


class TestEndCall:
    def test_keeps_the_run_running(self) -> None:
        end = CallEnd(Outcome.FAILED, error=ERROR)
        run, (usage,) = lifecycle.end_call(running(), end, now=LATER)
        assert (run.status, run.open_call, run.calls[0].error_code) == (Status.RUNNING, None, ERROR.code)
        assert run.due_at == LATER + lifecycle.LEASE
        assert _usage(usage).meters == {Meter.COMPUTE_MS: 2_000, Meter.REQUESTS: 1}

    def test_counts_unknown_usage_as_uncertain(self) -> None:
        end = CallEnd(Outcome.FAILED, {Meter.TOKENS_IN: 40}, usage_known=False, error=ERROR)
        run, (usage,) = lifecycle.end_call(running(), end, now=LATER)
        assert _usage(usage).meters[Meter.TOKENS_UNCERTAIN] == CALL.bound_tokens - 40
        assert run.attempts[0].usage_certain is False

    def test_numbers_the_calls_of_an_attempt(self) -> None:
        run, _ = lifecycle.end_call(running(), CallEnd(Outcome.FAILED, error=ERROR), now=LATER)
        second = lifecycle.begin_call(run, replace(CALL, number=2), now=LATER)
        _, (usage, _) = lifecycle.complete(second, END, OUTPUT, now=LATER)
        assert usage.id == f"{RUN_ID}:1:2"
        assert Meter.REQUESTS not in _usage(usage).meters


class TestFail:
    def test_ends_the_run_with_its_error_and_counts_the_request(self) -> None:
        run, (usage, failed) = lifecycle.fail(running(), CallEnd(Outcome.FAILED, error=ERROR), ERROR, now=LATER)
        assert (run.status, run.error) == (Status.FAILED, ERROR)
        assert _usage(usage).meters[Meter.REQUESTS] == 1
        assert isinstance(failed.data, RunFailed)
        assert failed.data.error_code == ERROR.code


class TestFinishReason:
    def test_is_that_of_the_last_call(self) -> None:
        end = replace(END, finish_reason=FinishReason.TOOL_CALLS)
        waiting = lifecycle.require_tools(running(), end, "", TOOLS, now=LATER)[0]
        assert waiting.finish_reason is FinishReason.TOOL_CALLS
        again = leased(lifecycle.accept_tool_outputs(waiting, {"call_1": "a", "call_2": "b"}, now=LATER)[0])
        assert again.finish_reason is None
        done = lifecycle.complete(again, replace(END, finish_reason=FinishReason.STOP), OUTPUT, now=LATER)[0]
        assert done.finish_reason is FinishReason.STOP
        assert [call.finish_reason for call in done.calls] == [FinishReason.TOOL_CALLS, FinishReason.STOP]

    def test_of_a_failed_call_is_unknown(self) -> None:
        failed = lifecycle.fail(running(), CallEnd(Outcome.FAILED, error=ERROR), ERROR, now=LATER)[0]
        assert failed.finish_reason is None

    def test_of_a_cancelled_run_is_cancelled(self) -> None:
        assert lifecycle.cancel(submitted()[0], now=LATER)[0].finish_reason is FinishReason.CANCELLED
        ended = replace(END, finish_reason=FinishReason.STOP)
        assert lifecycle.finish_cancellation(running(), ended, now=LATER)[0].finish_reason is FinishReason.CANCELLED


class TestCancel:
    def test_ends_a_queued_run_at_once_without_usage(self) -> None:
        run, (cancelled,) = lifecycle.cancel(submitted()[0], now=LATER)
        assert (run.status, run.calls, run.open_call) == (Status.CANCELLED, (), None)
        assert isinstance(cancelled.data, RunCancelled)

    def test_ends_a_run_that_waits_for_tools(self) -> None:
        assert lifecycle.cancel(_waiting(), now=LATER)[0].status is Status.CANCELLED

    def test_requests_the_worker_of_a_running_one_to_stop(self) -> None:
        run, events = lifecycle.cancel(running(), now=LATER)
        assert (run.status, run.cancel_requested, events) == (Status.RUNNING, True, [])

    @pytest.mark.parametrize("status", [status for status in Status if status.final])
    def test_never_changes_a_final_state(self, status: Status) -> None:
        with pytest.raises(RunAlreadyEnded):
            lifecycle.cancel(replace(running(), status=status), now=LATER)

    def test_counts_unknown_usage_when_the_worker_stops(self) -> None:
        end = CallEnd(Outcome.CANCELLED, {Meter.TOKENS_IN: 7}, usage_known=False)
        run, (usage, cancelled) = lifecycle.finish_cancellation(running(), end, now=LATER)
        assert run.status is Status.CANCELLED
        assert _usage(usage).meters[Meter.TOKENS_UNCERTAIN] == CALL.bound_tokens - 7
        assert isinstance(cancelled.data, RunCancelled)


class TestTools:
    def test_pause_the_run_for_a_day(self) -> None:
        run, (usage,) = lifecycle.require_tools(running(), END, "", TOOLS, now=LATER)
        assert (run.status, run.tool_calls, run.due_at) == (Status.REQUIRES_ACTION, TOOLS, LATER + timedelta(hours=24))
        assert _usage(usage).meters[Meter.TOKENS_OUT] == 1

    def test_requeue_the_run_with_outputs_in_call_order(self) -> None:
        run, (queued,) = lifecycle.accept_tool_outputs(_waiting(), {"call_2": "noon", "call_1": "rain"}, now=LATER)
        assert run.status is Status.QUEUED
        assert [(turn.role, turn.content, turn.tool_call_id) for turn in run.turns[1:]] == [
            ("tool", "rain", "call_1"),
            ("tool", "noon", "call_2"),
        ]
        assert isinstance(queued.data, RunQueued)

    @pytest.mark.parametrize(
        "outputs", [{"call_1": "rain"}, {"call_1": "", "call_2": "", "call_3": ""}, {"call_9": ""}]
    )
    def test_refuse_outputs_of_other_calls(self, outputs: dict[str, str]) -> None:
        with pytest.raises(ToolOutputsMismatch):
            lifecycle.accept_tool_outputs(_waiting(), outputs, now=LATER)

    def test_accept_the_same_outputs_again(self) -> None:
        outputs = {"call_1": "rain", "call_2": "noon"}
        run, _ = lifecycle.accept_tool_outputs(_waiting(), outputs, now=LATER)
        assert lifecycle.accept_tool_outputs(run, outputs, now=LATER) == (run, [])

    def test_refuse_different_outputs_for_answered_calls(self) -> None:
        run, _ = lifecycle.accept_tool_outputs(_waiting(), {"call_1": "rain", "call_2": "noon"}, now=LATER)
        with pytest.raises(ToolOutputsMismatch):
            lifecycle.accept_tool_outputs(run, {"call_1": "snow"}, now=LATER)
        with pytest.raises(RunAlreadyEnded):
            lifecycle.accept_tool_outputs(replace(run, status=Status.FAILED), {"call_1": "snow"}, now=LATER)

    def test_end_the_run_when_outputs_are_late(self) -> None:
        run, (failed,) = lifecycle.recover(_waiting(), now=LATER)
        assert run.error is not None
        assert (run.status, run.error.code) == (Status.FAILED, "ToolOutputsTimeout")
        assert isinstance(failed.data, RunFailed)


class TestRecover:
    def test_requeues_an_unleased_run(self) -> None:
        again, (queued,) = lifecycle.recover(submitted()[0], now=LATER)
        assert (again.status, again.attempt, queued.id) == (Status.QUEUED, 0, f"{RUN_ID}:queued:2")
        assert again.open_call == CALL

    def test_counts_the_bound_of_a_lost_call_as_uncertain(self) -> None:
        again, (usage, queued) = lifecycle.recover(running(), now=LATER)
        assert (again.status, again.attempts[0].outcome) == (Status.QUEUED, Outcome.LOST)
        assert _usage(usage).meters[Meter.TOKENS_UNCERTAIN] == CALL.bound_tokens
        assert _usage(usage).meters[Meter.REQUESTS] == 1
        assert isinstance(queued.data, RunQueued)

    def test_counts_nothing_when_the_worker_was_lost_between_calls(self) -> None:
        between, _ = lifecycle.end_call(running(), CallEnd(Outcome.FAILED, error=ERROR), now=LATER)
        again, (queued,) = lifecycle.recover(between, now=LATER)
        assert again.attempts[0].usage_certain
        assert isinstance(queued.data, RunQueued)

    def test_ends_a_run_after_three_lost_attempts(self) -> None:
        lost = (Attempt(Outcome.LOST, leased_at=NOW), Attempt(Outcome.LOST, leased_at=NOW))
        done, (_usage_event, failed) = lifecycle.recover(leased(replace(submitted()[0], attempts=lost)), now=LATER)
        assert (done.status, done.attempts[-1].outcome) == (Status.FAILED, Outcome.LOST)
        assert isinstance(failed.data, RunFailed)
        assert failed.data.error_code == "AttemptsExhausted"

    def test_does_not_count_tool_turns_as_lost_attempts(self) -> None:
        turns = (Attempt(Outcome.REQUIRES_ACTION, leased_at=NOW),) * 5
        again, _ = lifecycle.recover(leased(replace(submitted()[0], attempts=turns)), now=LATER)
        assert again.status is Status.QUEUED

    def test_ends_a_lost_run_that_the_client_has_cancelled(self) -> None:
        done, events = lifecycle.recover(replace(running(), cancel_requested=True), now=LATER)
        assert done.status is Status.CANCELLED
        assert [event.type for event in events] == [UsageRecorded.TYPE, RunCancelled.TYPE]


STEPS = st.lists(st.sampled_from(["lost", "retry", "tools"]), max_size=8)


class TestAnyHistory:
    @given(steps=STEPS)
    def test_counts_one_request_and_publishes_every_event_once(self, steps: list[str]) -> None:
        run, payload = running(), list[Event[Any]]()
        for step in steps:
            run, events = _step(run, step)
            payload += events
            if run.status.final:
                break
        if not run.status.final:
            payload += lifecycle.complete(run, END, OUTPUT, now=LATER)[1]
        counted = [event.data for event in payload if isinstance(event.data, UsageRecorded)]
        assert sum(usage.meters.get(Meter.REQUESTS, 0) for usage in counted) == 1
        assert len({event.id for event in payload}) == len(payload)


def _step(run: Run, step: str) -> lifecycle.Change:
    number = len(run.attempts[-1].calls) + 1
    if step == "retry":
        ended, events = lifecycle.end_call(run, CallEnd(Outcome.FAILED, error=ERROR), now=LATER)
        return lifecycle.begin_call(ended, replace(CALL, number=number + 1), now=LATER), events
    if step == "lost":
        again, events = lifecycle.recover(run, now=LATER)
        return (again if again.status.final else leased(again)), events
    waiting, usage = lifecycle.require_tools(run, END, "", TOOLS, now=LATER)
    again, queued = lifecycle.accept_tool_outputs(waiting, {"call_1": "a", "call_2": "b"}, now=LATER)
    return leased(again), [*usage, *queued]


class TestUsage:
    def test_is_the_sum_of_all_calls(self) -> None:
        lost, _ = lifecycle.recover(running(), now=LATER)
        done, _ = lifecycle.complete(leased(lost), END, OUTPUT, now=LATER)
        assert done.usage[Meter.TOKENS_UNCERTAIN] == CALL.bound_tokens
        assert done.usage[Meter.TOKENS_OUT] == 1

    @pytest.mark.parametrize(("cost", "expected"), [(None, None), (1_500, 1_500)])
    def test_has_no_cost_if_a_price_is_unknown(self, cost: int | None, expected: int | None) -> None:
        done, _ = lifecycle.complete(running(), replace(END, cost=Cost(cost)), OUTPUT, now=LATER)
        assert done.cost_nano_usd == expected
