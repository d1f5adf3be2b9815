"""The lifecycle of a run: failing calls, tools and cancellation."""

import pytest

from tests.journeys.steps import Steps, wait_for

pytestmark = pytest.mark.mesh

WAIT = {"Prefer": "wait=25"}


class TestFailures:
    def test_transient_errors_are_retried_and_each_call_is_counted(self, steps: Steps) -> None:
        agent_id = steps.create_agent()
        run = steps.submit(agent_id, "[[error 503]]", headers=WAIT)
        assert (run["status"], run["error"]["code"]) == ("failed", "ProviderUnavailable")
        assert [call["status"] for call in run["attempts"][0]["calls"]] == ["failed"] * 3
        steps.assert_counted_once(agent_id, [run])

    def test_a_truncated_stream_reports_uncertain_usage(self, steps: Steps) -> None:
        agent_id = steps.create_agent(max_output_tokens=100)
        run = steps.submit(agent_id, "[[cut]] [[tokens 50]]", headers=WAIT)
        assert (run["status"], run["error"]["code"]) == ("failed", "StreamTruncated")
        assert run["attempts"][0]["usage_certain"] is False
        assert run["usage"]["tokens_uncertain"] > 0
        steps.assert_counted_once(agent_id, [run])

    def test_the_fallback_is_called_after_the_model(self, steps: Steps) -> None:
        agent_id = steps.create_agent(fallbacks=["claude-opus-4-5"])
        run = steps.submit(agent_id, "[[error 503]]", headers=WAIT)
        models = [call["model"] for call in run["attempts"][0]["calls"]]
        assert models == ["gpt-4"] * 3 + ["claude-opus-4-5"] * 3


class TestToolCalls:
    def test_continue_the_run_with_the_outputs_of_the_client(self, steps: Steps) -> None:
        agent_id = steps.create_agent(tools=[{"name": "weather", "parameters": {"type": "object"}}])
        run = steps.submit(agent_id, '[[tool weather {"city": "Wien"}]] Well?', headers=WAIT)
        assert run["status"] == "requires_action"
        [call] = run["required_action"]["tool_calls"]
        outputs = {"tool_outputs": [{"tool_call_id": call["id"], "output": "rain"}]}
        responses = [steps.call("POST", f"/runs/{run['run_id']}/tool-outputs", outputs) for _ in range(2)]
        assert {response.status for response in responses} <= {200, 202}
        ended = steps.wait_for_end(run["run_id"])
        assert (ended["status"], len(ended["attempts"])) == ("completed", 2)
        steps.assert_counted_once(agent_id, [ended])


class TestCancellation:
    def test_stops_a_run_in_progress(self, steps: Steps) -> None:
        agent_id = steps.create_agent()
        run_id = steps.submit(agent_id, "[[tokens 4000]] [[delay 200]]")["run_id"]
        wait_for(lambda: steps.get_run(run_id)["status"] == "running", description="a worker has the run")
        response = steps.call("PATCH", f"/runs/{run_id}", {"status": "cancelled"})
        assert response.status == 202
        ended = steps.wait_for_end(run_id, timeout_s=10)
        assert (ended["status"], ended["output"]) == ("cancelled", None)
        assert steps.call("PATCH", f"/runs/{run_id}", {"status": "cancelled"}).status == 409
        steps.assert_counted_once(agent_id, [ended])
