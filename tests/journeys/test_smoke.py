"""The guide's walk, by the same hands as `make demo`, and with boto3."""

import pytest
from boto3.dynamodb.types import TypeDeserializer

from tests.journeys.steps import TENANT, Steps, wait_for
from tests.mesh import ADMIN, DEVELOPER, Mesh

pytestmark = pytest.mark.mesh


class TestWalk:
    def test_health_says_what_the_guide_says(self, mesh: Mesh) -> None:
        answer = mesh.call("GET", "/v1/health", user=None)
        assert answer.status == 200
        assert set(answer.body) == {"status", "timestamp", "environment", "requestId", "version"}
        assert (answer.body["status"], answer.body["environment"]) == ("healthy", "local")
        assert answer.headers["X-Request-Id"] == answer.body["requestId"]

    def test_an_empty_list_has_the_shape_of_the_guide(self, mesh: Mesh) -> None:
        answer = mesh.call("GET", f"{TENANT}/projects")
        assert list(answer.body) == ["projects", "pagination", "requestId"]
        assert answer.body["projects"] == []
        assert answer.body["pagination"] == {"nextToken": None, "hasMore": False}

    def test_an_agent_made_a_moment_ago_runs_at_once_and_is_counted(self, mesh: Mesh, steps: Steps) -> None:
        agent_id = steps.agent(system_prompt="You are a helpful assistant.")
        run = steps.submit(agent_id, "Hello, world! This is a test.", headers={"Prefer": "wait=25"})
        assert run["status"] == "completed"
        assert run["output"] == {"message": "This is a simulated answer. You said: Hello, world! This is a test."}
        steps.assert_counted_once(agent_id, [run])
        [item] = self._scan(mesh, run["run_id"])
        assert (item["tenantId"], item["model"], item["agentId"]) == ("demo-org", "gpt-4", agent_id)
        assert item["tokens_in"] == run["usage"]["tokens_in"]
        assert item["tokens_out"] == run["usage"]["tokens_out"]

    def test_a_version_published_a_moment_ago_runs_at_once(self, steps: Steps) -> None:
        agent_id = steps.agent()
        for number in (2, 3):
            steps.call("POST", f"/agents/{agent_id}/versions", {"config": {"model": f"gpt-{number}"}})
            body = {"agent_id": agent_id, "version": number, "inputs": {"message": "Hi"}}
            answer = steps.call("POST", "/runs", body, headers={"Prefer": "wait=25"})
            assert answer.status == 201, answer
            assert answer.body["run"]["attempts"][0]["calls"][0]["model"] == f"gpt-{number}"

    def test_a_project_made_a_moment_ago_takes_agents(self, steps: Steps) -> None:
        project_id = steps.call("POST", "/projects", {"name": "Fresh"}).body["project"]["project_id"]
        body = {"name": "A", "type": "conversational", "project_id": project_id, "config": {"model": "gpt-4"}}
        answer = steps.call("POST", "/agents", body)
        assert answer.status == 201, answer
        agent_id = answer.body["agent"]["agent_id"]
        assert steps.call("DELETE", f"/projects/{project_id}").status == 204
        wait_for(
            lambda: steps.call("GET", f"/agents/{agent_id}").body["agent"]["project_id"] is None,
            what="the agent leaves the project that was deleted",
        )
        assert steps.call("DELETE", f"/projects/{project_id}").status == 404

    def test_a_background_run_completes(self, steps: Steps) -> None:
        agent_id = steps.agent()
        run = steps.submit(agent_id, "[[tokens 500]] [[delay 5]]")
        assert run["status"] == "queued"
        done = steps.final(run["run_id"])
        assert done["usage"]["tokens_out"] == 500
        steps.assert_counted_once(agent_id, [done])

    def test_a_wait_that_ends_first_lets_the_run_go_on(self, steps: Steps) -> None:
        agent_id = steps.agent()
        message = "[[tokens 48]] [[delay 1000]]"
        run = steps.submit(agent_id, message, headers={"Prefer": "wait=3"})
        assert run["status"] == "running"
        done = steps.final(run["run_id"])
        assert (done["status"], len(done["attempts"])) == ("completed", 1)

    def test_billing_knows_its_customer(self, mesh: Mesh) -> None:
        answer = mesh.call("GET", f"{TENANT}/billing/plan")
        assert {"plan": "pro", "billing": "manual"}.items() <= answer.body["plan"].items()

    def test_the_openapi_document_knows_every_route_of_the_walk(self, mesh: Mesh) -> None:
        document = mesh.call("GET", "/v1/openapi.json", user=None).body
        paths = document["paths"]
        assert {"/v1/health", "/v1/tenants/{tenant_id}/runs", "/v1/tenants/{tenant_id}/usage/daily"} <= set(paths)

    def test_the_developer_may_run_but_not_of_another_tenant(self, mesh: Mesh) -> None:
        assert mesh.call("GET", f"{TENANT}/agents", user=DEVELOPER).status == 200
        assert mesh.call("GET", "/v1/tenants/enterprise-test/agents", user=DEVELOPER).status == 403

    def _scan(self, mesh: Mesh, run_id: str) -> list[dict[str, object]]:
        pages = mesh.clients.dynamodb.get_paginator("scan").paginate(
            TableName="ainexus-local-usage",
            FilterExpression="tenantId = :tid",
            ExpressionAttributeValues={":tid": {"S": "demo-org"}},
        )
        read = TypeDeserializer().deserialize
        items = [{name: read(value) for name, value in item.items()} for page in pages for item in page["Items"]]
        return [item for item in items if item.get("runId") == run_id]


def test_my_tenant_is_the_one_of_my_token(mesh: Mesh) -> None:
    [tenant] = mesh.call("GET", "/v1/tenants", user=ADMIN).body["tenants"]
    assert (tenant["tenant_id"], tenant["plan"]) == ("demo-org", "pro")
