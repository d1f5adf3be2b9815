"""The steps of `make demo` and of the walkthrough guide."""

import pytest
from boto3.dynamodb.types import TypeDeserializer

from tests.journeys.steps import TENANT, Steps, wait_for
from tests.mesh import ADMIN, DEVELOPER, Mesh

pytestmark = pytest.mark.mesh


class TestDemoSteps:
    def test_health_has_the_documented_fields(self, mesh: Mesh) -> None:
        response = mesh.call("GET", "/v1/health", user=None)
        assert response.status == 200
        assert set(response.body) == {"status", "timestamp", "environment", "requestId", "version"}
        assert (response.body["status"], response.body["environment"]) == ("healthy", "local")
        assert response.headers["X-Request-Id"] == response.body["requestId"]

    def test_an_empty_list_has_the_documented_fields(self, mesh: Mesh) -> None:
        response = mesh.call("GET", f"{TENANT}/projects")
        assert list(response.body) == ["projects", "pagination", "requestId"]
        assert response.body["projects"] == []
        assert response.body["pagination"] == {"nextToken": None, "hasMore": False}

    def test_a_new_agent_runs_immediately_and_is_counted(self, mesh: Mesh, steps: Steps) -> None:
        agent_id = steps.create_agent(system_prompt="You are a helpful assistant.")
        run = steps.submit(agent_id, "Hello, world! This is a test.", headers={"Prefer": "wait=25"})
        assert run["status"] == "completed"
        assert run["output"] == {"message": "This is a simulated answer. You said: Hello, world! This is a test."}
        steps.assert_counted_once(agent_id, [run])
        [item] = self._scan(mesh, run["run_id"])
        assert (item["tenantId"], item["model"], item["agentId"]) == ("demo-org", "gpt-4", agent_id)
        assert item["tokens_in"] == run["usage"]["tokens_in"]
        assert item["tokens_out"] == run["usage"]["tokens_out"]

    def test_a_new_version_runs_immediately(self, steps: Steps) -> None:
        agent_id = steps.create_agent()
        for number in (2, 3):
            steps.call("POST", f"/agents/{agent_id}/versions", {"config": {"model": f"gpt-{number}"}})
            body = {"agent_id": agent_id, "version": number, "inputs": {"message": "Hi"}}
            response = steps.call("POST", "/runs", body, headers={"Prefer": "wait=25"})
            assert response.status == 201, response
            assert response.body["run"]["attempts"][0]["calls"][0]["model"] == f"gpt-{number}"

    def test_a_new_project_accepts_agents(self, steps: Steps) -> None:
        project_id = steps.call("POST", "/projects", {"name": "Fresh"}).body["project"]["project_id"]
        body = {"name": "A", "type": "conversational", "project_id": project_id, "config": {"model": "gpt-4"}}
        response = steps.call("POST", "/agents", body)
        assert response.status == 201, response
        agent_id = response.body["agent"]["agent_id"]
        assert steps.call("DELETE", f"/projects/{project_id}").status == 204
        wait_for(
            lambda: steps.call("GET", f"/agents/{agent_id}").body["agent"]["project_id"] is None,
            description="the agent has left the deleted project",
        )
        assert steps.call("DELETE", f"/projects/{project_id}").status == 404

    def test_a_background_run_completes(self, steps: Steps) -> None:
        agent_id = steps.create_agent()
        run = steps.submit(agent_id, "[[tokens 500]] [[delay 5]]")
        assert run["status"] == "queued"
        ended = steps.wait_for_end(run["run_id"])
        assert ended["usage"]["tokens_out"] == 500
        steps.assert_counted_once(agent_id, [ended])

    def test_a_run_continues_after_the_wait(self, steps: Steps) -> None:
        agent_id = steps.create_agent()
        message = "[[tokens 48]] [[delay 1000]]"
        run = steps.submit(agent_id, message, headers={"Prefer": "wait=3"})
        assert run["status"] == "running"
        ended = steps.wait_for_end(run["run_id"])
        assert (ended["status"], len(ended["attempts"])) == ("completed", 1)

    def test_billing_has_the_customer(self, mesh: Mesh) -> None:
        response = mesh.call("GET", f"{TENANT}/billing/plan")
        assert {"plan": "pro", "billing": "manual"}.items() <= response.body["plan"].items()

    def test_openapi_document_has_the_routes_of_the_demo(self, mesh: Mesh) -> None:
        document = mesh.call("GET", "/v1/openapi.json", user=None).body
        paths = document["paths"]
        assert {"/v1/health", "/v1/tenants/{tenant_id}/runs", "/v1/tenants/{tenant_id}/usage/daily"} <= set(paths)

    def test_a_developer_cannot_read_another_tenant(self, mesh: Mesh) -> None:
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


def test_tenant_list_has_only_the_tenant_of_the_token(mesh: Mesh) -> None:
    [tenant] = mesh.call("GET", "/v1/tenants", user=ADMIN).body["tenants"]
    assert (tenant["tenant_id"], tenant["plan"]) == ("demo-org", "pro")
