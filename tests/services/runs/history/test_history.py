"""What happened to a run, as entries and as a trace."""

from dataclasses import replace
from datetime import timedelta

from services.runs.domain import lifecycle
from services.runs.domain.history import entries
from services.runs.domain.request import ToolCall
from services.runs.domain.run import CallEnd, Cost, Outcome, Run, RunError
from services.runs.domain.trace import Span, spans, trace_id
from shared.meters import Meter
from tests.services.runs.runs import CALL, END, NOW, TRACE_ID, running, submitted, taken

TOOL = ToolCall("call_1", "weather", '{"city": "Wien"}')
BUSY = CallEnd(Outcome.FAILED, error=RunError("ProviderUnavailable", "Not now."))
USED = replace(END, meters={Meter.TOKENS_IN: 7, Meter.TOKENS_OUT: 2, Meter.TOKENS_CACHE_READ: 3}, cost=Cost(90, "1"))


def _life() -> Run:
    """A call that fails, one that asks for a tool, a worker that is lost, and an answer."""
    now = [NOW + timedelta(seconds=second) for second in range(10)]
    run = lifecycle.end_call(running(), BUSY, now=now[1])[0]
    run = lifecycle.begin_call(run, replace(CALL, number=2), now=now[2])
    run = lifecycle.require_tools(run, USED, "Secret words.", (TOOL,), now=now[3])[0]
    run = lifecycle.take_tool_outputs(run, {"call_1": "Secret rain."}, now=now[5])[0]
    run = lifecycle.give_back(taken(run), now=now[7])[0]
    return lifecycle.complete(taken(run), USED, {"message": "Secret answer."}, now=now[9])[0]


class TestEntries:
    def test_tell_a_whole_life_in_its_order(self) -> None:
        assert [(one.event, one.attempt) for one in entries(_life())] == [
            ("queued", None),
            ("leased", 1),
            ("call_started", 1),
            ("call_ended", 1),
            ("call_started", 1),
            ("call_ended", 1),
            ("tools_required", 1),
            ("queued", None),
            ("leased", 2),
            ("call_started", 2),
            ("call_ended", 2),
            ("worker_lost", 2),
            ("queued", None),
            ("leased", 3),
            ("call_started", 3),
            ("call_ended", 3),
            ("completed", None),
        ]

    def test_say_why_something_is_done_again(self) -> None:
        after = [one.details["after"] for one in entries(_life()) if "after" in one.details]
        assert after == ["ProviderUnavailable", "tool_outputs", "worker_lost"]

    def test_say_what_a_call_took(self) -> None:
        ended = [one.details for one in entries(_life()) if one.event == "call_ended"]
        assert ended[0] == {
            "call": 1,
            "status": "failed",
            "requests": 1,
            "compute_ms": 1000,
            "cost_nano_usd": None,
            "error_code": "ProviderUnavailable",
        }
        assert (ended[1]["tokens_in"], ended[1]["cost_nano_usd"]) == (7, 90)
        assert ended[2]["tokens_uncertain"] == CALL.bound_tokens

    def test_name_the_tools_but_nothing_that_was_said(self) -> None:
        told = str(entries(_life()))
        assert "{'id': 'call_1', 'name': 'weather'}" in told
        assert [word for word in ("Secret", "Wien", "Hi") if word in told] == []

    def test_show_the_beginning_of_a_long_name_that_a_model_gives(self) -> None:
        tool = ToolCall("c" * 100_000, "t" * 100_000, "{}")
        run = lifecycle.require_tools(running(), USED, "", (tool,), now=NOW)[0]
        assert entries(run)[-1].details == {"tools": [{"id": "c" * 200, "name": "t" * 200}]}
        assert len(str(spans(run))) < 5_000

    def test_of_a_run_under_way_end_with_its_open_call(self) -> None:
        last = entries(running())[-1]
        assert (last.event, last.details) == ("call_started", {"call": 1, "provider": "simulated", "model": "gpt-4"})

    def test_of_a_run_that_waits_are_one(self) -> None:
        assert [one.event for one in entries(submitted()[0])] == ["queued"]

    def test_say_why_a_run_failed(self) -> None:
        failed = lifecycle.fail(running(), BUSY, RunError("ProviderUnavailable", "Not now."), now=NOW)[0]
        assert (entries(failed)[-1].event, entries(failed)[-1].details) == (
            "failed",
            {"error_code": "ProviderUnavailable"},
        )


def _named(run: Run, start: str) -> list[Span]:
    return [span for span in spans(run) if span.name.startswith(start)]


class TestSpans:
    def test_are_all_below_the_run(self) -> None:
        root, *below = spans(_life())
        assert (root.name.split()[0], root.parent_span_id) == ("invoke_agent", None)
        assert {span.parent_span_id for span in below} == {root.span_id}
        assert len({span.span_id for span in (root, *below)}) == len(below) + 1
        assert (root.started_at, root.ended_at) == (NOW, NOW + timedelta(seconds=9))

    def test_of_calls_have_the_names_of_the_conventions(self) -> None:
        failed, asked, lost, answered = _named(_life(), "chat gpt-4")
        assert (failed.kind, failed.failed, failed.attributes["error.type"]) == (
            "client",
            True,
            "ProviderUnavailable",
        )
        assert asked.attributes == {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "simulated",
            "gen_ai.request.model": "gpt-4",
            "gen_ai.usage.input_tokens": 7,
            "gen_ai.usage.output_tokens": 2,
            "gen_ai.usage.cache_read.input_tokens": 3,
            "ainexus.attempt": 1,
            "ainexus.call": 2,
            "ainexus.simulated": True,
            "ainexus.cost_nano_usd": 90,
        }
        assert lost.attributes["ainexus.usage.uncertain_tokens"] == CALL.bound_tokens
        assert not answered.failed

    def test_show_how_long_the_client_took_with_a_tool(self) -> None:
        [tool] = _named(_life(), "execute_tool weather")
        assert (tool.started_at, tool.ended_at) == (NOW + timedelta(seconds=3), NOW + timedelta(seconds=5))
        assert tool.attributes["gen_ai.tool.call.id"] == "call_1"

    def test_show_every_wait_for_a_worker(self) -> None:
        assert len(_named(_life(), "queue")) == 3

    def test_of_what_goes_on_have_no_end(self) -> None:
        assert [span.ended_at for span in (*_named(running(), "invoke_agent"), *_named(running(), "chat"))] == [
            None
        ] * 2
        assert _named(submitted()[0], "queue")[0].ended_at is None

    def test_name_bedrock_as_the_conventions_do(self) -> None:
        run = replace(running(), open_call=replace(CALL, provider="bedrock"))
        assert _named(run, "chat")[0].attributes["gen_ai.provider.name"] == "aws.bedrock"


class TestTraceId:
    def test_is_the_callers(self) -> None:
        assert trace_id(submitted()[0]) == TRACE_ID.removeprefix("1-").replace("-", "")

    def test_is_the_runs_own_without_one(self) -> None:
        own = trace_id(submitted(trace_id="")[0])
        assert (len(own), int(own, 16) > 0) == (32, True)

    def test_is_that_of_every_event(self) -> None:
        _, said = lifecycle.complete(running(), END, {"message": "Hello"}, now=NOW)
        assert {event.trace_id for event in (*said, *submitted()[1])} == {TRACE_ID}
