"""How a run moves from state to state."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.runs.domain import lifecycle
from services.runs.domain.request import ToolCall
from services.runs.domain.run import Attempt, CallEnd, Cost, Outcome, Run, RunError, Status
from services.runs.errors import RunAlreadyEnded, ToolOutputsMismatch
from shared.events.envelope import Event
from shared.events.runs import RunCancelled, RunCompleted, RunEvent, RunFailed, RunQueued, UsageRecorded
from shared.meters import Meter
from tests.services.runs.runs import CALL, END, NOW, OUTPUT, RUN_ID, USED, running, submitted, taken

LATER = NOW + timedelta(seconds=2)
ERROR = RunError("ProviderUnavailable", "Not now.")
TOOLS = (ToolCall("call_1", "weather", '{"city": "Wien"}'), ToolCall("call_2", "time", "{}"))


def _usage(event: Event[RunEvent]) -> UsageRecorded:
    assert isinstance(event.data, UsageRecorded)
    return event.data


def _waiting() -> Run:
    return lifecycle.require_tools(running(), END, "Let me see.", TOOLS, now=LATER)[0]


class TestSubmit:
    def test_puts_the_run_into_the_queue(self) -> None:
        run, events = submitted()
        assert run.status is Status.QUEUED
        assert [(event.id, event.type, event.seq) for event in events] == [(f"{RUN_ID}:queued:1", RunQueued.TYPE, 1)]

    def test_does_not_queue_a_run_that_somebody_waits_for(self) -> None:
        run, events = submitted(waited=True)
        assert events == []
        assert run.due_at == NOW + timedelta(seconds=30)

    def test_lets_the_reaper_look_soon(self) -> None:
        assert submitted()[0].due_at == NOW + timedelta(seconds=20)


class TestComplete:
    def test_ends_the_run_and_says_what_it_used(self) -> None:
        run, (usage, completed) = lifecycle.complete(running(), END, OUTPUT, now=LATER)
        assert (run.status, run.output, run.due_at, run.open_call) == (Status.COMPLETED, OUTPUT, None, None)
        assert _usage(usage).meters == {**USED, Meter.COMPUTE_MS: 2_000, Meter.REQUESTS: 1}
        assert isinstance(completed.data, RunCompleted)
        assert run.attempts[0].outcome is Outcome.COMPLETED

    def test_gives_each_fact_an_id_that_says_it_once(self) -> None:
        _, events = lifecycle.complete(running(), END, OUTPUT, now=LATER)
        assert [event.id for event in events] == [f"{RUN_ID}:1:1", f"{RUN_ID}:1:completed"]

    def test_counts_the_call_in_the_month_that_it_was_planned_in(self) -> None:
        _, (usage, _) = lifecycle.complete(running(), END, OUTPUT, now=NOW + timedelta(days=30))
        assert _usage(usage).period == "2026-11"


class TestEndCall:
    def test_leaves_the_run_with_its_worker(self) -> None:
        end = CallEnd(Outcome.FAILED, error=ERROR)
        run, (usage,) = lifecycle.end_call(running(), end, now=LATER)
        assert (run.status, run.open_call, run.calls[0].error_code) == (Status.RUNNING, None, ERROR.code)
        assert run.due_at == LATER + lifecycle.LEASE
        assert _usage(usage).meters == {Meter.COMPUTE_MS: 2_000, Meter.REQUESTS: 1}

    def test_counts_what_is_not_known_as_uncertain(self) -> None:
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
    def test_ends_the_run_with_its_reason_and_counts_the_request(self) -> None:
        run, (usage, failed) = lifecycle.fail(running(), CallEnd(Outcome.FAILED, error=ERROR), ERROR, now=LATER)
        assert (run.status, run.error) == (Status.FAILED, ERROR)
        assert _usage(usage).meters[Meter.REQUESTS] == 1
        assert isinstance(failed.data, RunFailed)
        assert failed.data.error_code == ERROR.code


class TestCancel:
    def test_ends_a_queued_run_at_once_and_counts_nothing(self) -> None:
        run, (cancelled,) = lifecycle.cancel(submitted()[0], now=LATER)
        assert (run.status, run.calls, run.open_call) == (Status.CANCELLED, (), None)
        assert isinstance(cancelled.data, RunCancelled)

    def test_ends_a_run_that_waits_for_tools(self) -> None:
        assert lifecycle.cancel(_waiting(), now=LATER)[0].status is Status.CANCELLED

    def test_asks_the_worker_of_a_running_one(self) -> None:
        run, events = lifecycle.cancel(running(), now=LATER)
        assert (run.status, run.cancel_requested, events) == (Status.RUNNING, True, [])

    @pytest.mark.parametrize("status", [status for status in Status if status.final])
    def test_never_changes_a_final_state(self, status: Status) -> None:
        with pytest.raises(RunAlreadyEnded):
            lifecycle.cancel(replace(running(), status=status), now=LATER)

    def test_the_worker_stops_and_says_what_is_not_known(self) -> None:
        end = CallEnd(Outcome.CANCELLED, {Meter.TOKENS_IN: 7}, usage_known=False)
        run, (usage, cancelled) = lifecycle.stop(running(), end, now=LATER)
        assert run.status is Status.CANCELLED
        assert _usage(usage).meters[Meter.TOKENS_UNCERTAIN] == CALL.bound_tokens - 7
        assert isinstance(cancelled.data, RunCancelled)


class TestTools:
    def test_make_the_run_wait_for_a_day(self) -> None:
        run, (usage,) = lifecycle.require_tools(running(), END, "", TOOLS, now=LATER)
        assert (run.status, run.tool_calls, run.due_at) == (Status.REQUIRES_ACTION, TOOLS, LATER + timedelta(hours=24))
        assert _usage(usage).meters[Meter.TOKENS_OUT] == 1

    def test_outputs_put_the_run_back_into_the_queue_in_the_order_of_the_calls(self) -> None:
        run, (queued,) = lifecycle.take_tool_outputs(_waiting(), {"call_2": "noon", "call_1": "rain"}, now=LATER)
        assert run.status is Status.QUEUED
        assert [(turn.role, turn.content, turn.tool_call_id) for turn in run.turns[1:]] == [
            ("tool", "rain", "call_1"),
            ("tool", "noon", "call_2"),
        ]
        assert isinstance(queued.data, RunQueued)

    @pytest.mark.parametrize(
        "outputs", [{"call_1": "rain"}, {"call_1": "", "call_2": "", "call_3": ""}, {"call_9": ""}]
    )
    def test_outputs_of_other_calls_are_refused(self, outputs: dict[str, str]) -> None:
        with pytest.raises(ToolOutputsMismatch):
            lifecycle.take_tool_outputs(_waiting(), outputs, now=LATER)

    def test_the_same_outputs_again_change_nothing(self) -> None:
        outputs = {"call_1": "rain", "call_2": "noon"}
        run, _ = lifecycle.take_tool_outputs(_waiting(), outputs, now=LATER)
        assert lifecycle.take_tool_outputs(run, outputs, now=LATER) == (run, [])

    def test_other_outputs_for_a_call_that_was_answered_are_refused(self) -> None:
        run, _ = lifecycle.take_tool_outputs(_waiting(), {"call_1": "rain", "call_2": "noon"}, now=LATER)
        with pytest.raises(ToolOutputsMismatch):
            lifecycle.take_tool_outputs(run, {"call_1": "snow"}, now=LATER)
        with pytest.raises(RunAlreadyEnded):
            lifecycle.take_tool_outputs(replace(run, status=Status.FAILED), {"call_1": "snow"}, now=LATER)

    def test_that_never_come_end_the_run(self) -> None:
        run, (failed,) = lifecycle.give_back(_waiting(), now=LATER)
        assert run.error is not None
        assert (run.status, run.error.code) == (Status.FAILED, "ToolOutputsTimeout")
        assert isinstance(failed.data, RunFailed)


class TestGiveBack:
    def test_queues_a_run_again_that_nobody_has_leased(self) -> None:
        again, (queued,) = lifecycle.give_back(submitted()[0], now=LATER)
        assert (again.status, again.attempt, queued.id) == (Status.QUEUED, 0, f"{RUN_ID}:queued:2")
        assert again.open_call == CALL

    def test_counts_what_a_lost_call_may_have_used_as_uncertain(self) -> None:
        again, (usage, queued) = lifecycle.give_back(running(), now=LATER)
        assert (again.status, again.attempts[0].outcome) == (Status.QUEUED, Outcome.LOST)
        assert _usage(usage).meters[Meter.TOKENS_UNCERTAIN] == CALL.bound_tokens
        assert _usage(usage).meters[Meter.REQUESTS] == 1
        assert isinstance(queued.data, RunQueued)

    def test_counts_nothing_when_the_worker_was_lost_between_calls(self) -> None:
        between, _ = lifecycle.end_call(running(), CallEnd(Outcome.FAILED, error=ERROR), now=LATER)
        again, (queued,) = lifecycle.give_back(between, now=LATER)
        assert again.attempts[0].usage_certain
        assert isinstance(queued.data, RunQueued)

    def test_ends_a_run_that_was_lost_three_times(self) -> None:
        lost = (Attempt(Outcome.LOST, leased_at=NOW), Attempt(Outcome.LOST, leased_at=NOW))
        done, (_usage_event, failed) = lifecycle.give_back(taken(replace(submitted()[0], attempts=lost)), now=LATER)
        assert (done.status, done.attempts[-1].outcome) == (Status.FAILED, Outcome.LOST)
        assert isinstance(failed.data, RunFailed)
        assert failed.data.error_code == "AttemptsExhausted"

    def test_does_not_take_tool_turns_for_lost_attempts(self) -> None:
        turns = (Attempt(Outcome.REQUIRES_ACTION, leased_at=NOW),) * 5
        again, _ = lifecycle.give_back(taken(replace(submitted()[0], attempts=turns)), now=LATER)
        assert again.status is Status.QUEUED

    def test_ends_a_lost_run_that_the_client_has_cancelled(self) -> None:
        done, events = lifecycle.give_back(replace(running(), cancel_requested=True), now=LATER)
        assert done.status is Status.CANCELLED
        assert [event.type for event in events] == [UsageRecorded.TYPE, RunCancelled.TYPE]


STEPS = st.lists(st.sampled_from(["lost", "retry", "tools"]), max_size=8)


class TestAnyLife:
    @given(steps=STEPS)
    def test_counts_one_request_and_says_everything_once(self, steps: list[str]) -> None:
        run, said = running(), list[Event[Any]]()
        for step in steps:
            run, events = _step(run, step)
            said += events
            if run.status.final:
                break
        if not run.status.final:
            said += lifecycle.complete(run, END, OUTPUT, now=LATER)[1]
        counted = [event.data for event in said if isinstance(event.data, UsageRecorded)]
        assert sum(usage.meters.get(Meter.REQUESTS, 0) for usage in counted) == 1
        assert len({event.id for event in said}) == len(said)


def _step(run: Run, step: str) -> lifecycle.Change:
    number = len(run.attempts[-1].calls) + 1
    if step == "retry":
        ended, events = lifecycle.end_call(run, CallEnd(Outcome.FAILED, error=ERROR), now=LATER)
        return lifecycle.begin_call(ended, replace(CALL, number=number + 1), now=LATER), events
    if step == "lost":
        again, events = lifecycle.give_back(run, now=LATER)
        return (again if again.status.final else taken(again)), events
    waiting, usage = lifecycle.require_tools(run, END, "", TOOLS, now=LATER)
    again, queued = lifecycle.take_tool_outputs(waiting, {"call_1": "a", "call_2": "b"}, now=LATER)
    return taken(again), [*usage, *queued]


class TestUsage:
    def test_is_the_sum_of_all_calls(self) -> None:
        lost, _ = lifecycle.give_back(running(), now=LATER)
        done, _ = lifecycle.complete(taken(lost), END, OUTPUT, now=LATER)
        assert done.usage[Meter.TOKENS_UNCERTAIN] == CALL.bound_tokens
        assert done.usage[Meter.TOKENS_OUT] == 1

    @pytest.mark.parametrize(("cost", "expected"), [(None, None), (1_500, 1_500)])
    def test_has_no_cost_where_a_price_is_not_known(self, cost: int | None, expected: int | None) -> None:
        done, _ = lifecycle.complete(running(), replace(END, cost=Cost(cost)), OUTPUT, now=LATER)
        assert done.cost_nano_usd == expected
