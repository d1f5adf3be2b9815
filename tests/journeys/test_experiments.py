"""An experiment on the mesh: trials by events, a verdict, and costs that equal those of its runs."""

from typing import Any

import pytest

from tests.journeys.steps import Steps, wait_for
from tests.journeys.test_datasets import create_dataset, publish

pytestmark = pytest.mark.mesh

ITEMS = 25


def runs_of(steps: Steps, experiment_id: str) -> list[dict[str, Any]]:
    """Return all runs of an experiment."""
    found, token = list[dict[str, Any]](), ""
    while True:
        body = steps.call("GET", f"/runs?limit=100&experiment_id={experiment_id}{token}").body
        found += body["runs"]
        if not body["pagination"]["hasMore"]:
            return found
        token = f"&next_token={body['pagination']['nextToken']}"


class TestExperiment:
    def test_finds_the_worse_variant_and_costs_what_its_runs_do(self, steps: Steps) -> None:
        agent_id, dataset_id = steps.create_agent(), create_dataset(steps)
        content = "".join(f'{{"input": "Q{number}", "expected": "Q{number}"}}\n' for number in range(ITEMS))
        assert publish(steps, dataset_id, content.encode())["status"] == "published"
        body = {
            "name": "Cut",
            "dataset_id": dataset_id,
            "variants": [
                {"name": "whole", "agent_id": agent_id},
                {"name": "cut", "agent_id": agent_id, "overrides": {"max_output_tokens": 4}},
            ],
            "scorers": [{"name": "repeats", "type": "contains"}],
            "minimum_effect": 0.1,
            "max_cost_usd": 100,
        }
        experiment_id = steps.call("POST", "/experiments", body).body["experiment"]["experiment_id"]
        wait_for(
            lambda: steps.call("POST", f"/experiments/{experiment_id}/start").status == 200,
            description="the experiment starts",
        )

        def ended() -> dict[str, Any] | None:
            found = steps.call("GET", f"/experiments/{experiment_id}/status").body["status"]
            return found if found["status"] != "running" else None

        state = wait_for(ended, description="the experiment ends", timeout_s=240)
        assert (state["status"], state["progress"]["done"]) == ("completed", 2 * ITEMS)
        runs = runs_of(steps, experiment_id)
        assert len(runs) == 2 * ITEMS
        assert state["progress"]["cost_nano_usd"] == sum(run["cost_nano_usd"] for run in runs)
        verdicts = steps.call("GET", f"/experiments/{experiment_id}/results").body["results"]["verdicts"]
        assert [verdict["verdict"] for verdict in verdicts] == ["worse"]
        steps.assert_counted_once(agent_id, runs)
