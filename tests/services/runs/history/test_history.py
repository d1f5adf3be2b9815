"""Logs and traces of a run."""

from dataclasses import replace
from datetime import timedelta

import pytest

from services.runs.history.domain.log import entries
from services.runs.history.domain.trace import TraceSpan, spans, trace_id
from services.runs.runs.domain import lifecycle
from services.runs.runs.domain.conversation import ToolCall
from services.runs.runs.domain.run import CallEnd, Cost, FinishReason, Outcome, Run, RunError
from shared.meters import Meter
from tests.services.runs.examples import CALL, END, NOW, TRACE_ID, leased, running, submitted

TOOL = ToolCall("call_1", "weather", '{"city": "Wien"}')
BUSY = CallEnd(Outcome.FAILED, error=RunError("ProviderUnavailable", "Not now."))
USED = replace(END, meters={Meter.TOKENS_IN: 7, Meter.TOKENS_OUT: 2, Meter.TOKENS_CACHE_READ: 3}, cost=Cost(90, "1"))


def _life() -> Run:
    """Return a failed call, one that requests a tool, a lost worker and a response."""
    now = [NOW + timedelta(seconds=second) for second in range(10)]
    run = lifecycle.end_call(running(), BUSY, now=now[1])[0]
    run = lifecycle.begin_call(run, replace(CALL, number=2), now=now[2])
    run = lifecycle.require_tools(run, USED, "Secret words.", (TOOL,), now=now[3])[0]
    run = lifecycle.accept_tool_outputs(run, {"call_1": "Secret rain."}, now=now[5])[0]
    run = lifecycle.recover(leased(run), now=now[7])[0]
    return lifecycle.complete(leased(run), USED, {"message": "Secret answer."}, now=now[9])[0]


class TestEntries:
    def test_list_the_whole_history_in_order(self) -> None:
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

    def test_give_the_reason_of_a_repetition(self) -> None:
        after = [one.details["after"] for one in entries(_life()) if "after" in one.details]
        assert after == ["ProviderUnavailable", "tool_outputs", "worker_lost"]

    def test_contain_the_usage_of_a_call(self) -> None:
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

    def test_name_tools_without_any_text(self) -> None:
        text = str(entries(_life()))
        assert "{'id': 'call_1', 'name': 'weather'}" in text
        assert [word for word in ("Secret", "Wien", "Hi") if word in text] == []

    def test_truncate_a_long_tool_name(self) -> None:
        tool = ToolCall("c" * 100_000, "t" * 100_000, "{}")
        run = lifecycle.require_tools(running(), USED, "", (tool,), now=NOW)[0]
        assert entries(run)[-1].details == {"tools": [{"id": "c" * 200, "name": "t" * 200}]}
        assert len(str(spans(run))) < 5_000

    def test_end_with_the_open_call_of_an_active_run(self) -> None:
        last = entries(running())[-1]
        assert (last.event, last.details) == ("call_started", {"call": 1, "provider": "simulated", "model": "gpt-4"})

    def test_have_one_entry_for_a_queued_run(self) -> None:
        assert [one.event for one in entries(submitted()[0])] == ["queued"]

    def test_contain_the_error_of_a_failed_run(self) -> None:
        failed = lifecycle.fail(running(), BUSY, RunError("ProviderUnavailable", "Not now."), now=NOW)[0]
        assert (entries(failed)[-1].event, entries(failed)[-1].details) == (
            "failed",
            {"error_code": "ProviderUnavailable"},
        )


def _named(run: Run, start: str) -> list[TraceSpan]:
    return [span for span in spans(run) if span.name.startswith(start)]


class TestSpans:
    def test_are_children_of_the_run(self) -> None:
        root, *below = spans(_life())
        assert (root.name.split()[0], root.parent_span_id) == ("invoke_agent", None)
        assert {span.parent_span_id for span in below} == {root.span_id}
        assert len({span.span_id for span in (root, *below)}) == len(below) + 1
        assert (root.started_at, root.ended_at) == (NOW, NOW + timedelta(seconds=9))

    def test_follow_the_naming_conventions_for_calls(self) -> None:
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

    @pytest.mark.report(9)
    def test_have_usage_and_cost_only_in_calls(self) -> None:
        names = {
            span.name.split()[0]
            for span in spans(_life())
            if any(name.startswith(("gen_ai.usage", "ainexus.usage", "ainexus.cost")) for name in span.attributes)
        }
        assert names == {"chat"}

    def test_have_the_reasons_why_answers_ended(self) -> None:
        answered = replace(USED, finish_reason=FinishReason.LENGTH, usage_estimated=True)
        run = lifecycle.complete(running(), answered, {"message": "So"}, now=NOW)[0]
        root, call = _named(run, "invoke_agent")[0], _named(run, "chat")[0]
        for span in (root, call):
            assert span.attributes["gen_ai.response.finish_reasons"] == ["length"]
        assert call.attributes["ainexus.usage.estimated"] is True
        assert [entry.details.get("finish_reason") for entry in entries(run) if entry.event == "call_ended"] == [
            "length"
        ]

    def test_sum_up_to_the_usage_of_the_run(self) -> None:
        counted = [span.attributes.get("gen_ai.usage.input_tokens", 0) for span in spans(_life())]
        assert sum(one for one in counted if isinstance(one, int)) == _life().usage[Meter.TOKENS_IN]

    def test_measure_the_clients_tool_time(self) -> None:
        [tool] = _named(_life(), "execute_tool weather")
        assert (tool.started_at, tool.ended_at) == (NOW + timedelta(seconds=3), NOW + timedelta(seconds=5))
        assert tool.attributes["gen_ai.tool.call.id"] == "call_1"

    def test_include_every_wait_for_a_worker(self) -> None:
        assert len(_named(_life(), "queue")) == 3

    def test_have_no_end_while_active(self) -> None:
        assert [span.ended_at for span in (*_named(running(), "invoke_agent"), *_named(running(), "chat"))] == [
            None
        ] * 2
        assert _named(submitted()[0], "queue")[0].ended_at is None

    def test_name_bedrock_by_the_conventions(self) -> None:
        run = replace(running(), open_call=replace(CALL, provider="bedrock"))
        assert _named(run, "chat")[0].attributes["gen_ai.provider.name"] == "aws.bedrock"


class TestTraceId:
    def test_is_the_callers(self) -> None:
        assert trace_id(submitted()[0]) == TRACE_ID.removeprefix("1-").replace("-", "")

    def test_is_derived_from_the_run_without_a_caller(self) -> None:
        own = trace_id(submitted(trace_id="")[0])
        assert (len(own), int(own, 16) > 0) == (32, True)

    def test_is_in_every_event(self) -> None:
        _, payload = lifecycle.complete(running(), END, {"message": "Hello"}, now=NOW)
        assert {event.trace_id for event in (*payload, *submitted()[1])} == {TRACE_ID}
