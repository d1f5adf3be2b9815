"""Agents whose system prompt is a stored prompt."""

import pytest

from tests.journeys.steps import Steps, wait_for

pytestmark = pytest.mark.mesh

WAIT = {"Prefer": "wait=25"}


class TestPrompts:
    def test_a_run_is_pinned_to_the_live_version_and_renders_it(self, steps: Steps) -> None:
        template = "You support the customers of {{ company }}."
        prompt = steps.call("POST", "/prompts", {"name": "Support", "template": template}).body["prompt"]
        agent_id = steps.create_agent(system_prompt={"prompt_id": prompt["prompt_id"]})
        inputs = {"message": "Hello", "variables": {"company": "Acme"}}

        first = steps.call("POST", "/runs", {"agent_id": agent_id, "inputs": inputs}, headers=WAIT)
        assert (first.status, first.body["run"]["status"]) == (201, "completed"), first
        assert first.body["run"]["prompt"] == {"prompt_id": prompt["prompt_id"], "version": 1}

        longer = {"template": f"{template} " + "Be brief. " * 50, "live": True}
        steps.call("POST", f"/prompts/{prompt['prompt_id']}/versions", longer)
        missing = steps.call("POST", "/runs", {"agent_id": agent_id, "inputs": {"message": "Hello"}})
        assert (missing.status, missing.body["details"][0]["field"]) == (422, "inputs.variables.company")

        runs = [first.body["run"]]

        def runs_version_2() -> bool:
            """Run the agent, which uses the new version once the event of its alias has arrived."""
            response = steps.call("POST", "/runs", {"agent_id": agent_id, "inputs": inputs}, headers=WAIT)
            runs.append(response.body["run"])
            return runs[-1]["prompt"]["version"] == 2

        wait_for(runs_version_2, description="a run uses the new version")
        assert runs[-1]["usage"]["tokens_in"] > runs[0]["usage"]["tokens_in"]
        steps.assert_counted_once(agent_id, runs)
