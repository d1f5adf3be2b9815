"""The life of a run: calls that fail, tools, cancellation."""

import pytest

from tests.journeys.steps import Steps, wait_for

pytestmark = pytest.mark.mesh

WAIT = {"Prefer": "wait=25"}


class TestFailures:
    def test_a_call_that_fails_in_passing_is_tried_three_times_and_counted_each_time(self, steps: Steps) -> None:
        agent_id = steps.agent()
        run = steps.submit(agent_id, "[[error 503]]", headers=WAIT)
        assert (run["status"], run["error"]["code"]) == ("failed", "ProviderUnavailable")
        assert [call["status"] for call in run["attempts"][0]["calls"]] == ["failed"] * 3
        steps.assert_counted_once(agent_id, [run])

    def test_a_stream_that_breaks_off_says_what_is_not_known(self, steps: Steps) -> None:
        agent_id = steps.agent(max_output_tokens=100)
        run = steps.submit(agent_id, "[[cut]] [[tokens 50]]", headers=WAIT)
        assert (run["status"], run["error"]["code"]) == ("failed", "StreamTruncated")
        assert run["attempts"][0]["usage_certain"] is False
        assert run["usage"]["tokens_uncertain"] > 0
        steps.assert_counted_once(agent_id, [run])

    def test_a_fallback_answers(self, steps: Steps) -> None:
        agent_id = steps.agent(fallbacks=["claude-opus-4-5"])
        run = steps.submit(agent_id, "[[error 503]]", headers=WAIT)
        models = [call["model"] for call in run["attempts"][0]["calls"]]
        assert models == ["gpt-4"] * 3 + ["claude-opus-4-5"] * 3


class TestTools:
    def test_the_client_executes_them_and_the_run_goes_on(self, steps: Steps) -> None:
        agent_id = steps.agent(tools=[{"name": "weather", "parameters": {"type": "object"}}])
        run = steps.submit(agent_id, '[[tool weather {"city": "Wien"}]] Well?', headers=WAIT)
        assert run["status"] == "requires_action"
        [call] = run["required_action"]["tool_calls"]
        outputs = {"tool_outputs": [{"tool_call_id": call["id"], "output": "rain"}]}
        answers = [steps.call("POST", f"/runs/{run['run_id']}/tool-outputs", outputs) for _ in range(2)]
        assert {answer.status for answer in answers} <= {200, 202}
        done = steps.final(run["run_id"])
        assert (done["status"], len(done["attempts"])) == ("completed", 2)
        steps.assert_counted_once(agent_id, [done])


class TestCancel:
    def test_stops_a_run_that_is_under_way(self, steps: Steps) -> None:
        agent_id = steps.agent()
        run_id = steps.submit(agent_id, "[[tokens 4000]] [[delay 200]]")["run_id"]
        wait_for(lambda: steps.run(run_id)["status"] == "running", what="a worker has the run")
        answer = steps.call("PATCH", f"/runs/{run_id}", {"status": "cancelled"})
        assert answer.status == 202
        done = steps.final(run_id, patience_s=10)
        assert (done["status"], done["output"]) == ("cancelled", None)
        assert steps.call("PATCH", f"/runs/{run_id}", {"status": "cancelled"}).status == 409
        steps.assert_counted_once(agent_id, [done])
