"""The worker from the lease to the end of a run."""

from datetime import timedelta
from typing import Any, ClassVar

import pytest

from services.runs.agents.domain import VersionCopy
from services.runs.agents.table import VersionCopyTable
from services.runs.errors import ProviderFailed, ProviderNotConfigured, ToolOutputsMismatch, ToolOutputsTooLarge
from services.runs.execution.operations.cancel import cancel_run
from services.runs.execution.operations.recovery import reap
from services.runs.execution.operations.tool_outputs import submit_tool_outputs
from services.runs.providers.domain.model import StopReason, StreamActivity, StreamEnd, TextDelta, UsageUpdate
from services.runs.runs.domain.conversation import ProviderState, ToolCall
from services.runs.runs.domain.run import Cost, Outcome, Run, Status
from services.runs.runs.table.runs import RunTable
from shared.events.envelope import Event
from shared.events.runs import RunEvent
from shared.meters import Meter
from shared.storage.items import Item
from tests.services.runs.conftest import CONFIG, World, all_of, know_tenant
from tests.services.runs.examples import AGENT_ID, TENANT
from tests.services.runs.execution.test_structured_output import BRANCHING
from tests.services.runs.workers import (
    LATER,
    ScriptedModel,
    access,
    acquire_lease,
    execute,
    outbox,
    planner_of,
    reaped,
    submit,
)

USED = {Meter.TOKENS_IN: 7, Meter.TOKENS_OUT: 2}
ANSWER = (TextDelta("Hel"), TextDelta("lo"), StreamEnd(USED))
BUSY = ProviderFailed("ProviderUnavailable", "Not now.", retry=True)
CUT = ProviderFailed("StreamTruncated", "Cut.", retry=True, usage_known=False)
WRONG = ProviderFailed("ProviderRejected", "No.")


def _version(world: World, **config: object) -> int:
    """Submit a run of a second version with these changes of its config."""
    stored = world.documents.write(TENANT, f"agents/{AGENT_ID}/versions/2.json", {**CONFIG, **config})
    VersionCopyTable(world.store, TENANT).keep(VersionCopy(AGENT_ID, 2, stored))
    return 2


class TestOneCall:
    def test_completes_a_run(self, world: World) -> None:
        done = execute(world, submit(world))
        assert done.output == {"message": "This is a simulated answer. You said: Hello"}
        assert done.usage[Meter.TOKENS_OUT] == 8

    def test_publishes_usage_and_end_in_one_write(self, world: World) -> None:
        run = submit(world, waited=True)
        execute(world, run)
        assert outbox(world) == [f"{run.run_id}:1:1", f"{run.run_id}:1:completed"]

    def test_ignores_a_leased_or_final_run(self, world: World) -> None:
        done = execute(world, submit(world))
        assert execute(world, done) == done

    def test_sends_the_planned_cap(self, world: World) -> None:
        models = ScriptedModel([ANSWER])
        execute(world, submit(world), models)
        assert models.requests[0].max_output_tokens == 4_096

    def test_counts_the_usage_of_a_refusal(self, world: World) -> None:
        done = execute(
            world, submit(world), ScriptedModel([[TextDelta("I cannot."), StreamEnd(USED, stop=StopReason.REFUSED)]])
        )
        assert done.error is not None
        assert (done.status, done.error.code, done.error.message) == (Status.FAILED, "ModelRefused", "I cannot.")
        assert done.usage[Meter.TOKENS_OUT] == 2

    def test_truncates_a_refusal_in_the_error(self, world: World) -> None:
        done = execute(
            world, submit(world), ScriptedModel([[TextDelta("no" * 500_000), StreamEnd(USED, stop=StopReason.REFUSED)]])
        )
        assert done.error is not None
        assert (done.error.code, len(done.error.message)) == ("ModelRefused", 500)

    def test_records_that_the_built_in_provider_responds(self, world: World) -> None:
        run = submit(world)
        done = execute(world, run)
        assert run.open_call is not None
        assert (run.open_call.provider, run.simulated) == ("openai", False)
        assert [(call.number, call.provider, call.model) for call in done.calls] == [(1, "simulated", "gpt-4")]
        assert done.simulated

    def test_records_the_cost(self, world: World) -> None:
        done = execute(world, submit(world), ScriptedModel([[BUSY], ANSWER]))
        assert [call.cost_nano_usd for call in done.calls] == [0, 1_000]
        assert (done.cost_nano_usd, done.calls[1].price_version) == (1_000, "list 1")

    def test_reports_a_model_without_a_price(self, world: World, caplog: pytest.LogCaptureFixture) -> None:
        done = execute(world, submit(world), ScriptedModel([ANSWER]), cost=Cost(None, "list 1"))
        assert done.cost_nano_usd is None
        told = [vars(record) for record in caplog.records if record.getMessage() == "call ended"]
        assert [(line["UnpricedCalls"], line["provider"]) for line in told] == [(1, "openai")]

    def test_fails_a_run_whose_provider_has_no_key(self, world: World) -> None:
        done = execute(world, submit(world), ScriptedModel([[ProviderNotConfigured("openai")]]))
        assert done.error is not None
        assert done.error.code == "ProviderNotConfigured"
        assert done.usage == {Meter.REQUESTS: 1, Meter.COMPUTE_MS: 0}


class TestRetries:
    def test_counts_every_call_separately(self, world: World) -> None:
        slept: list[float] = []
        run = submit(world, waited=True)
        done = execute(world, run, ScriptedModel([[BUSY], [BUSY], ANSWER]), slept=slept)
        assert [call.status for call in done.calls] == [Outcome.FAILED, Outcome.FAILED, Outcome.COMPLETED]
        assert slept == [0.5, 1.0]
        ids = [f"{run.run_id}:1:{call}" for call in ("1", "2", "3", "completed")]
        assert outbox(world) == ids
        assert done.usage[Meter.TOKENS_OUT] == 2

    def test_stops_after_three_calls_with_the_error(self, world: World) -> None:
        done = execute(world, submit(world), ScriptedModel([[BUSY]] * 3))
        assert done.error is not None
        assert (done.status, done.error.code, len(done.calls)) == (Status.FAILED, "ProviderUnavailable", 3)

    def test_does_not_retry_a_rejected_request(self, world: World) -> None:
        assert len(execute(world, submit(world), ScriptedModel([[WRONG]])).calls) == 1

    def test_discards_the_text_of_a_truncated_call_but_counts_it(self, world: World) -> None:
        cut = [UsageUpdate({Meter.TOKENS_IN: 7}), TextDelta("Half"), CUT]
        done = execute(world, submit(world), ScriptedModel([cut, ANSWER]))
        assert done.output == {"message": "Hello"}
        bound = done.calls[0].meters[Meter.TOKENS_UNCERTAIN]
        assert done.usage == {**done.usage, Meter.TOKENS_IN: 14, Meter.TOKENS_UNCERTAIN: bound}
        assert done.attempts[0].usage_certain is False

    def test_treats_a_stream_without_terminal_event_as_truncated(self, world: World) -> None:
        done = execute(world, submit(world), ScriptedModel([[TextDelta("Hel")]] * 3))
        assert done.error is not None
        assert (done.error.code, done.output) == ("StreamTruncated", None)

    def test_limits_each_call_to_the_remaining_attempt_time(self, world: World) -> None:
        version = _version(world, timeout_s=600)
        models = ScriptedModel([[BUSY], [BUSY], ANSWER])
        ticks = (LATER + timedelta(seconds=45 * tick) for tick in range(100))
        execute(world, submit(world, version=version), models, clock=ticks)
        times = [request.timeout_s for request in models.requests]
        assert times[0] == 600
        assert times == sorted(times, reverse=True)
        assert times[-1] < 500

    def test_stops_when_the_attempt_time_is_over(self, world: World) -> None:
        ticks = (LATER + timedelta(minutes=5 * tick) for tick in range(100))
        done = execute(world, submit(world), ScriptedModel([[BUSY]] * 3), clock=ticks)
        assert len(done.calls) < 3
        assert done.status is Status.FAILED


class TestFallbacks:
    def test_are_called_when_a_model_is_unavailable(self, world: World) -> None:
        version = _version(world, fallbacks=["claude-opus-4-5"])
        models = ScriptedModel([[BUSY], [BUSY], [BUSY], ANSWER])
        done = execute(world, submit(world, version=version), models)
        assert [call.model for call in done.calls] == ["gpt-4"] * 3 + ["claude-opus-4-5"]
        assert done.status is Status.COMPLETED


class TestStructuredOutput:
    SCHEMA: ClassVar = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}

    def test_returns_data_that_fits(self, world: World) -> None:
        version = _version(world, response_schema=self.SCHEMA)
        done = execute(world, submit(world, version=version), ScriptedModel([[TextDelta('{"n": 4}'), StreamEnd(USED)]]))
        assert done.output == {"message": '{"n": 4}', "data": {"n": 4}}

    def test_repairs_once_and_counts_both_calls(self, world: World) -> None:
        version = _version(world, response_schema=self.SCHEMA)
        models = ScriptedModel([[TextDelta("four"), StreamEnd(USED)], [TextDelta('{"n": 4}'), StreamEnd(USED)]])
        done = execute(world, submit(world, version=version), models)
        assert done.output == {"message": '{"n": 4}', "data": {"n": 4}}
        assert (len(done.calls), done.usage[Meter.TOKENS_OUT]) == (2, 4)
        assert models.requests[1].messages[-2].content == "four"

    def test_does_not_repair_with_a_fourth_call_of_one_model(self, world: World) -> None:
        version = _version(world, response_schema=self.SCHEMA)
        models = ScriptedModel([[BUSY], [BUSY], [TextDelta("four"), StreamEnd(USED)]])
        done = execute(world, submit(world, version=version), models)
        assert done.error is not None
        assert (done.error.code, len(done.calls)) == ("OutputInvalid", 3)

    def test_fails_the_run_when_the_repair_does_not_fit(self, world: World) -> None:
        version = _version(world, response_schema=self.SCHEMA)
        done = execute(world, submit(world, version=version), ScriptedModel([[TextDelta("four"), StreamEnd(USED)]] * 2))
        assert done.error is not None
        assert (done.error.code, len(done.calls)) == ("OutputInvalid", 2)

    def test_fails_the_run_at_once_when_the_output_is_too_complex(self, world: World) -> None:
        version = _version(world, response_schema=BRANCHING)
        answer = '{"a":' * 40 + '{"z":1}' + "}" * 40
        done = execute(world, submit(world, version=version), ScriptedModel([[TextDelta(answer), StreamEnd(USED)]]))
        assert done.error is not None
        assert (done.error.code, len(done.calls)) == ("OutputTooComplex", 1)
        assert (done.usage[Meter.TOKENS_OUT], done.usage.get(Meter.TOKENS_UNCERTAIN)) == (2, None)


class TestCancel:
    def test_stops_usage_at_the_next_chunk(self, world: World) -> None:
        run = submit(world)

        def cancel() -> None:
            assert cancel_run(world.runs, world.budgets, run.run_id, now=LATER, if_match=None).cancel_requested

        script = [
            UsageUpdate({Meter.TOKENS_IN: 7}),
            TextDelta("a"),
            cancel,
            TextDelta("b"),
            TextDelta("c"),
            StreamEnd(USED),
        ]
        models = ScriptedModel([script])
        ticks = (LATER + timedelta(seconds=tick) for tick in range(100))
        done = execute(world, run, models, clock=ticks)
        assert (done.status, models.closed) == (Status.CANCELLED, 1)
        assert done.usage[Meter.TOKENS_IN] == 7
        assert done.usage[Meter.TOKENS_UNCERTAIN] > 0
        assert done.output is None

    def test_is_detected_while_the_model_reasons(self, world: World) -> None:
        run = submit(world)

        def cancel() -> None:
            cancel_run(world.runs, world.budgets, run.run_id, now=LATER, if_match=None)

        models = ScriptedModel(
            [[StreamActivity(), cancel, StreamActivity(), StreamActivity(), TextDelta("Too late."), StreamEnd(USED)]]
        )
        ticks = (LATER + timedelta(seconds=tick) for tick in range(100))
        done = execute(world, run, models, clock=ticks)
        assert (done.status, done.output, models.closed) == (Status.CANCELLED, None, 1)

    def test_is_not_undone_by_the_reaper(self, world: World) -> None:
        run = submit(world)
        acquire_lease(world, run.run_id, now=LATER)

        class Late(RunTable):
            """A run table in which the client cancels after the reaper has read the run."""

            def save(self, before: Run, after: Run, events: list[Event[RunEvent]], **options: Any) -> Item:  # noqa: ANN401 — the options of `RunTable.save`
                if not before.cancel_requested:
                    cancel_run(world.runs, world.budgets, run.run_id, now=LATER, if_match=None)
                return super().save(before, after, events, **options)

        table = Late(world.store, TENANT, world.runs.payloads)
        assert reap(all_of(table), world.all_budgets, now=LATER + timedelta(minutes=1)).results == []
        assert reap(all_of(table), world.all_budgets, now=LATER + timedelta(minutes=2)).results == [run.run_id]
        assert world.runs.get(run.run_id).status is Status.CANCELLED

    def test_sends_no_further_call(self, world: World) -> None:
        run = submit(world)

        def cancel() -> None:
            cancel_run(world.runs, world.budgets, run.run_id, now=LATER, if_match=None)

        models = ScriptedModel([[cancel, BUSY], ANSWER])
        done = execute(world, run, models)
        assert (done.status, len(models.requests)) == (Status.CANCELLED, 1)
        assert outbox(world) == [f"{run.run_id}:1:1", f"{run.run_id}:1:cancelled", f"{run.run_id}:queued:1"]

    def test_removes_a_queued_run_from_the_queue(self, world: World) -> None:
        run = submit(world)
        assert cancel_run(world.runs, world.budgets, run.run_id, now=LATER, if_match=None).status is Status.CANCELLED
        assert execute(world, run).status is Status.CANCELLED


class TestLease:
    def test_is_extended_while_the_response_streams(self, world: World) -> None:
        ticks = (LATER + timedelta(seconds=3 * tick) for tick in range(200))
        done = execute(world, submit(world), ScriptedModel([[*[TextDelta("x")] * 20, StreamEnd(USED)]]), clock=ticks)
        assert (done.status, done.attempt) == (Status.COMPLETED, 1)

    def test_of_another_attempt_prevents_writes(self, world: World) -> None:
        run = submit(world)

        def lose() -> None:
            assert reaped(world, now=LATER + timedelta(seconds=40)) == 1

        after = execute(world, run, ScriptedModel([[lose, *ANSWER]]))
        assert (after.status, after.output) == (Status.QUEUED, None)
        assert outbox(world) == [f"{run.run_id}:1:1", f"{run.run_id}:queued:1", f"{run.run_id}:queued:3"]


class TestTools:
    MESSAGE = '[[tool weather {"city": "Wien"}]] [[tool time {}]] Well?'

    def test_pause_and_continue_the_run(self, world: World) -> None:
        waiting = execute(world, submit(world, message=self.MESSAGE))
        assert waiting.status is Status.REQUIRES_ACTION
        assert [call.name for call in waiting.tool_calls] == ["weather", "time"]
        outputs = {"call_1": "rain", "call_2": "noon"}
        queued = submit_tool_outputs(
            world.runs, world.documents, planner_of(world), access(world), waiting.run_id, outputs, now=LATER
        )
        done = execute(world, queued)
        assert (done.status, done.attempt) == (Status.COMPLETED, 2)
        assert [attempt.outcome for attempt in done.attempts] == [Outcome.REQUIRES_ACTION, Outcome.COMPLETED]
        assert done.usage[Meter.REQUESTS] == 1

    def test_return_the_same_response_for_outputs_of_an_earlier_turn(self, world: World) -> None:
        calls = (ToolCall("call_a", "again", "{}"), ToolCall("call_b", "again", "{}"))
        run = submit(world)
        models = ScriptedModel([[StreamEnd(USED, (call,), StopReason.TOOL_CALLS)] for call in calls])

        def hand_in(outputs: dict[str, str]) -> Run:
            return submit_tool_outputs(
                world.runs, world.documents, planner_of(world), access(world), run.run_id, outputs, now=LATER
            )

        execute(world, run, models)
        hand_in({"call_a": "one"})
        waiting = execute(world, run, models)
        assert hand_in({"call_a": "one"}) == waiting
        with pytest.raises(ToolOutputsMismatch):
            hand_in({"call_a": "two"})
        assert hand_in({"call_b": "two"}).status is Status.QUEUED

    def test_ignore_an_empty_list_of_calls(self, world: World) -> None:
        done = execute(
            world, submit(world), ScriptedModel([[TextDelta("Well."), StreamEnd(USED, (), StopReason.TOOL_CALLS)]])
        )
        assert (done.status, done.output) == (Status.COMPLETED, {"message": "Well."})

    def test_are_limited_to_what_can_be_submitted(self, world: World) -> None:
        calls = tuple(ToolCall(f"call_{number}", "again", "{}") for number in range(129))
        done = execute(world, submit(world), ScriptedModel([[StreamEnd(USED, calls, StopReason.TOOL_CALLS)]]))
        assert done.error is not None
        assert (done.status, done.error.code) == (Status.FAILED, "TooManyToolCalls")

    def test_end_the_run_when_too_large_and_are_counted(self, world: World) -> None:
        calls = tuple(ToolCall(f"call_{number}", "again", "x" * 300_000) for number in range(2))
        done = execute(world, submit(world), ScriptedModel([[StreamEnd(USED, calls, StopReason.TOOL_CALLS)]]))
        assert done.error is not None
        assert (done.status, done.error.code) == (Status.FAILED, "ToolCallsTooLarge")
        assert done.usage.items() >= USED.items()

    def test_end_the_run_when_its_conversation_is_too_large(self, world: World) -> None:
        know_tenant(world.store, seq=2, max_tokens_per_month=10**8)
        run, call = submit(world), ToolCall("call_1", "again", "{}")
        models = ScriptedModel([[TextDelta("t" * 700_000), StreamEnd(USED, (call,), StopReason.TOOL_CALLS)]] * 3)
        outputs = {"call_1": "o" * 300_000}
        for _ in range(2):
            run = execute(world, run, models)
            run = submit_tool_outputs(
                world.runs, world.documents, planner_of(world), access(world), run.run_id, outputs, now=LATER
            )
        done = execute(world, run, models)
        assert done.error is not None
        assert (done.status, done.error.code) == (Status.FAILED, "ConversationTooLarge")
        assert done.usage[Meter.TOKENS_OUT] == 3 * USED[Meter.TOKENS_OUT]

    def test_end_the_run_when_the_provider_state_is_too_large(self, world: World) -> None:
        know_tenant(world.store, seq=2, max_tokens_per_month=10**8)
        state = ProviderState("anthropic", "claude", "messages", "x" * 2**21)
        call = ToolCall("call_1", "again", "{}")
        models = ScriptedModel([[StreamEnd(USED, (call,), StopReason.TOOL_CALLS, state)]])
        done = execute(world, submit(world), models)
        assert done.error is not None
        assert (done.status, done.error.code) == (Status.FAILED, "ConversationTooLarge")

    def test_refuse_large_outputs_and_accept_others_later(self, world: World) -> None:
        know_tenant(world.store, seq=2, max_tokens_per_month=10**8)
        call = ToolCall("call_1", "again", "{}")
        models = ScriptedModel([[TextDelta("t" * 1_500_000), StreamEnd(USED, (call,), StopReason.TOOL_CALLS)]])
        run = execute(world, submit(world), models)

        def hand_in(output: str) -> Run:
            outputs = {"call_1": output}
            return submit_tool_outputs(
                world.runs, world.documents, planner_of(world), access(world), run.run_id, outputs, now=LATER
            )

        with pytest.raises(ToolOutputsTooLarge):
            hand_in("o" * 700_000)
        assert world.runs.get(run.run_id) == run
        assert hand_in("o").status is Status.QUEUED

    def test_are_limited_to_twenty_turns(self, world: World) -> None:
        run, now = submit(world), LATER
        call = ToolCall("call_1", "again", "{}")
        models = ScriptedModel([[StreamEnd(USED, (call,), StopReason.TOOL_CALLS)]] * 21)
        for _ in range(20):
            run = execute(world, run, models)
            run = submit_tool_outputs(
                world.runs, world.documents, planner_of(world), access(world), run.run_id, {"call_1": "no"}, now=now
            )
        done = execute(world, run, models)
        assert done.error is not None
        assert done.error.code == "TooManyToolTurns"


class TestReap:
    def test_requeues_a_lost_run(self, world: World) -> None:
        run = submit(world)
        acquire_lease(world, run.run_id, now=LATER)
        assert reaped(world, now=LATER + timedelta(seconds=29)) == 0
        assert reaped(world, now=LATER + timedelta(seconds=31)) == 1
        done = execute(world, run)
        assert [attempt.outcome for attempt in done.attempts] == [Outcome.LOST, Outcome.COMPLETED]

    def test_queues_a_waited_run_whose_worker_never_started(self, world: World) -> None:
        run = submit(world, waited=True)
        assert reaped(world, now=LATER + timedelta(seconds=31)) == 1
        # Its lease would have begun with the worker, so nothing was used.
        assert outbox(world) == [f"{run.run_id}:queued:2"]

    def test_skips_a_run_that_cannot_be_read(self, world: World) -> None:
        unreadable = submit(world, message="x" * 100_000)
        run = submit(world, now=LATER + timedelta(seconds=1))
        world.documents.delete_below(TENANT, f"runs/{unreadable.run_id}")
        assert reaped(world, now=LATER + timedelta(hours=1)) == 2
        assert f"{run.run_id}:queued:2" in outbox(world)

    def test_ends_a_run_after_three_attempts(self, world: World) -> None:
        run, now = submit(world), LATER
        for _ in range(3):
            acquire_lease(world, run.run_id, now=now)
            now += timedelta(seconds=31)
            reap(world.all_runs, world.all_budgets, now=now)
        done = world.runs.get(run.run_id)
        assert (done.status, len(done.attempts)) == (Status.FAILED, 3)
        assert run.open_call is not None
        # Only the first attempt had recorded a call before its worker was lost.
        assert done.usage[Meter.TOKENS_UNCERTAIN] == run.open_call.bound_tokens
        assert done.usage[Meter.REQUESTS] == 1
