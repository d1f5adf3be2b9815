"""Agents whose system prompt is a stored prompt."""

import pytest

from tests.journeys.steps import Steps

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

        second = self.run_of_version(steps, agent_id, inputs, version=2)
        assert second["usage"]["tokens_in"] > first.body["run"]["usage"]["tokens_in"]
        steps.assert_counted_once(agent_id, [first.body["run"], second])

    @staticmethod
    def run_of_version(steps: Steps, agent_id: str, inputs: dict[str, object], *, version: int) -> dict[str, object]:
        """Return a run that is pinned to this version, once the event of its alias has arrived."""
        runs = (
            steps.call("POST", "/runs", {"agent_id": agent_id, "inputs": inputs}, headers=WAIT).body["run"]
            for _ in range(100)
        )
        return next(run for run in runs if run["prompt"]["version"] == version)
