"""How a run moves from state to state."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.runs.domain import lifecycle
from services.runs.domain.run import Outcome, RunError, Status
from shared.events.envelope import Event
from shared.events.runs import RunCompleted, RunEvent, RunFailed, RunQueued, UsageRecorded
from shared.meters import Meter
from tests.services.runs.runs import ANSWER, CALL, NOW, RUN_ID, running, submitted, taken

LATER = NOW + timedelta(seconds=2)


class TestSubmit:
    def test_puts_the_run_into_the_queue(self) -> None:
        run, events = submitted()
        assert run.status is Status.QUEUED
        assert [(event.id, event.type, event.seq) for event in events] == [
            (f"{RUN_ID}:queued:1", RunQueued.TYPE, 1),
        ]

    def test_does_not_queue_a_run_that_somebody_waits_for(self) -> None:
        run, events = submitted(waited=True)
        assert events == []
        assert run.due_at == NOW + timedelta(seconds=30)

    def test_lets_the_reaper_look_after_a_quarter_of_an_hour(self) -> None:
        run, _ = submitted()
        assert run.due_at == NOW + timedelta(minutes=15)


class TestFinish:
    def test_completes_the_run_and_says_what_it_used(self) -> None:
        run, (usage, completed) = lifecycle.finish(running(), ANSWER, now=LATER)
        assert run.status is Status.COMPLETED
        assert run.output == {"message": "Hello"}
        assert run.due_at is None
        assert isinstance(usage.data, UsageRecorded)
        assert usage.data.meters == {
            Meter.TOKENS_IN: 7,
            Meter.TOKENS_OUT: 1,
            Meter.COMPUTE_MS: 2_000,
            Meter.REQUESTS: 1,
        }
        assert isinstance(completed.data, RunCompleted)

    def test_gives_each_fact_an_id_that_says_it_once(self) -> None:
        _, events = lifecycle.finish(running(), ANSWER, now=LATER)
        assert [event.id for event in events] == [f"{RUN_ID}:1:1", f"{RUN_ID}:1:completed"]

    def test_counts_the_request_in_the_first_attempt_only(self) -> None:
        _, (usage, _completed) = lifecycle.finish(running(attempt=2), ANSWER, now=LATER)
        assert isinstance(usage.data, UsageRecorded)
        assert Meter.REQUESTS not in usage.data.meters

    def test_counts_the_call_in_the_month_that_it_was_sent_in(self) -> None:
        _, (usage, _completed) = lifecycle.finish(running(), ANSWER, now=NOW + timedelta(days=30))
        assert isinstance(usage.data, UsageRecorded)
        assert usage.data.period == "2026-11"


class TestFail:
    def test_ends_the_run_with_its_reason_and_counts_the_request(self) -> None:
        error = RunError("ProviderNotConfigured", "There is no key.")
        run, (usage, failed) = lifecycle.fail(running(), error, now=LATER)
        assert (run.status, run.error) == (Status.FAILED, error)
        assert isinstance(usage.data, UsageRecorded)
        assert usage.data.meters[Meter.REQUESTS] == 1
        assert isinstance(failed.data, RunFailed)
        assert failed.data.error_code == "ProviderNotConfigured"


class TestGiveBack:
    def test_queues_a_run_again_that_nobody_has_leased(self) -> None:
        run, _ = submitted(waited=True)
        again, (queued,) = lifecycle.give_back(run, now=LATER)
        assert (again.status, again.attempt, queued.id) == (Status.QUEUED, 0, f"{RUN_ID}:queued:2")

    def test_counts_what_a_lost_call_may_have_used_as_uncertain(self) -> None:
        again, (usage, queued) = lifecycle.give_back(running(), now=LATER)
        assert again.status is Status.QUEUED
        assert again.attempts[0].outcome is Outcome.LOST
        assert again.attempts[0].usage_certain is False
        assert isinstance(usage.data, UsageRecorded)
        assert usage.data.meters[Meter.TOKENS_UNCERTAIN] == CALL.bound_tokens
        assert usage.data.meters[Meter.REQUESTS] == 1
        assert isinstance(queued.data, RunQueued)

    def test_ends_a_run_that_was_tried_three_times(self) -> None:
        done, (_usage, failed) = lifecycle.give_back(running(attempt=3), now=LATER)
        assert done.status is Status.FAILED
        assert isinstance(failed.data, RunFailed)
        assert failed.data.error_code == "AttemptsExhausted"

    @given(lost=st.integers(min_value=0, max_value=2))
    def test_counts_one_request_per_run_however_often_it_is_tried(self, lost: int) -> None:
        run = running()
        said: list[Event[RunEvent]] = []
        for _ in range(lost):
            given_back, events = lifecycle.give_back(run, now=LATER)
            said += events
            run = taken(given_back)
        said += lifecycle.finish(run, ANSWER, now=LATER)[1]
        counted = [event.data for event in said if isinstance(event.data, UsageRecorded)]
        assert sum(usage.meters.get(Meter.REQUESTS, 0) for usage in counted) == 1
        assert len({event.id for event in said}) == len(said)


class TestUsage:
    def test_is_the_sum_of_all_calls(self) -> None:
        lost, _ = lifecycle.give_back(running(), now=LATER)
        done, _ = lifecycle.finish(taken(lost), ANSWER, now=LATER)
        assert done.usage[Meter.TOKENS_UNCERTAIN] == CALL.bound_tokens
        assert done.usage[Meter.TOKENS_OUT] == 1

    def test_has_no_cost_where_a_price_is_not_known(self) -> None:
        done, _ = lifecycle.finish(running(), ANSWER, now=LATER)
        assert done.cost_nano_usd is None
