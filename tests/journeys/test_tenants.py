"""The lifecycle of a tenant on the running mesh: created, suspended, and deleted completely while 50 runs execute."""

import gzip
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest

from cli.admin import invoke_command
from cli.export import download
from cli.password import new_password
from shared.declaration import Table
from shared.ids import new_id
from tests.journeys.pool_user import JourneyUser
from tests.journeys.steps import wait_for
from tests.mesh import PLATFORM_ADMIN, Mesh

pytestmark = pytest.mark.mesh

RUN_COUNT = 50
RETAINED_ROWS = {
    ("", "CONFIG"): "reserves the id forever",
    ("#TENANTS", "CERTIFICATE"): "the deletion certificate",
    ("#AGENTS", "COPY#TENANT"): "a tombstone",
    ("#RUNS", "COPY#TENANT"): "a tombstone",
    ("#USAGE", "COPY#TENANT"): "a tombstone",
    ("#BILLING", "COPY#TENANT"): "a tombstone",
    ("#BILLING", "CUSTOMER"): "a billing record",
    ("#BILLING", "KNOWN"): "a billing record: lists all customers for reconciliation",
    ("#BILLING", "REMAINDER"): "a billing record",
}
BILLING_PREFIXES = ("#BILLING#INVOICES", "#BILLING#SYNC#", "#BILLING#USAGE#")
"""Billing records that are retained after the deletion of a tenant, under its id only."""


class JourneyTenant:
    """A new tenant with one admin."""

    def __init__(self, mesh: Mesh) -> None:
        self.mesh = mesh
        self.tenant_id = new_id("t", datetime.now(UTC)).lower().replace("_", "-")
        self.admin = f"admin@{self.tenant_id}.example"
        body = {"tenant_id": self.tenant_id, "name": "Passing", "plan": "pro"}
        response = mesh.call("POST", "/v1/admin/tenants", body, user=PLATFORM_ADMIN)
        assert response.status == 201, response
        arguments = {"email": self.admin, "role": "tenant_admin", "temporary_password": new_password()}
        invoke_command(mesh.target, "create_user", tenant_id=self.tenant_id, **arguments)

    def call(self, method: str, path: str, body: dict[str, Any] | None = None, **options: Any) -> Any:  # noqa: ANN401 — those of Mesh.call
        """Call the API below the tenant's path, as its admin."""
        return self.mesh.call(method, f"/v1/tenants/{self.tenant_id}{path}", body, user=self.admin, **options)

    def call_as_operator(self, method: str, path: str = "", body: dict[str, Any] | None = None) -> Any:  # noqa: ANN401 — as above
        """Call the API of operators below the tenant's path."""
        return self.mesh.call(method, f"/v1/admin/tenants/{self.tenant_id}{path}", body, user=PLATFORM_ADMIN)

    def agent(self) -> str:
        """Create an agent in a new project and return its id."""
        project = self.call("POST", "/projects", {"name": "P"}).body["project"]["project_id"]
        config = {"model": "gpt-4", "system_prompt": "Help."}
        body = {"name": "A", "type": "conversational", "project_id": project, "config": config}
        response = self.call("POST", "/agents", body)
        assert response.status == 201, response
        return response.body["agent"]["agent_id"]

    def run(self, agent_id: str, message: str = "Hi") -> Any:  # noqa: ANN401 — as above
        """Submit a background run."""
        return self.call("POST", "/runs", {"agent_id": agent_id, "inputs": {"message": message}})

    def rows(self) -> Iterator[tuple[str, str]]:
        """Yield its rows in all tables, by the part of the key after the tenant."""
        own = f"TENANT#{self.tenant_id}"
        for table in Table:
            pages = self.mesh.clients.dynamodb.get_paginator("scan").paginate(TableName=f"ainexus-local-{table.value}")
            for item in (item for page in pages for item in page["Items"]):
                pk, sk = (str(item[name].get("S")) for name in ("PK", "SK"))
                if pk == own or pk.startswith(f"{own}#"):
                    yield pk.removeprefix(own), sk

    def objects(self) -> int:
        """Return the number of its objects in the bucket."""
        bucket = self.mesh.outputs["ArtifactsBucketName"]
        found = self.mesh.clients.s3.list_objects_v2(Bucket=bucket, Prefix=f"tenants/{self.tenant_id}/")
        return len(found.get("Contents", []))

    def users(self) -> list[str]:
        """Return its users in the pool."""
        found = self.mesh.clients.cognito.list_users(UserPoolId=self.mesh.outputs["UserPoolId"])["Users"]
        attributes = [{entry["Name"]: entry.get("Value") for entry in user.get("Attributes", [])} for user in found]
        return [str(by_name["email"]) for by_name in attributes if by_name.get("custom:tenant_id") == self.tenant_id]


@pytest.fixture(name="tenant", scope="module")
def make_tenant(mesh: Mesh) -> JourneyTenant:
    return JourneyTenant(mesh)


class TestSuspension:
    def test_stops_new_runs_within_seconds_while_reads_work(self, tenant: JourneyTenant) -> None:
        agent_id = tenant.agent()
        assert tenant.run(agent_id).status == 202
        assert tenant.call_as_operator("POST", "/suspend", {"reason": "A test"}).status == 200
        wait_for(lambda: tenant.run(agent_id).status == 403, description="no run begins", timeout_s=10)
        assert [tenant.call("GET", path).status for path in ("", "/agents", "/runs", "/usage/daily")] == [200] * 4
        assert tenant.call_as_operator("POST", "/reactivate").status == 200
        wait_for(lambda: tenant.run(agent_id).status == 202, description="runs begin again", timeout_s=10)


class TestUsers:
    def test_role_changes_reach_the_pool_and_removed_users_cannot_renew(
        self, mesh: Mesh, tenant: JourneyTenant
    ) -> None:
        email = f"dev@{tenant.tenant_id}.example"
        user = tenant.call("POST", "/users/invite", {"email": email, "role": "developer"}).body["user"]
        pool_user = JourneyUser.of(mesh, email)
        refresh_token = pool_user.sign_in()["RefreshToken"]
        assert tenant.call("PUT", f"/users/{user['user_id']}", {"role": "analyst"}).status == 200
        wait_for(
            lambda: pool_user.attributes["custom:role"] == "analyst", description="the pool has the role", timeout_s=10
        )
        assert tenant.call("DELETE", f"/users/{user['user_id']}").status == 204
        wait_for(lambda: email not in tenant.users(), description="the user is removed from the pool", timeout_s=10)
        with pytest.raises(pool_user.pool.cognito.exceptions.ClientError):
            pool_user.renew(refresh_token)

    def test_disabled_users_cannot_sign_in_or_renew(self, mesh: Mesh, tenant: JourneyTenant) -> None:
        email = f"gone@{tenant.tenant_id}.example"
        tenant.call("POST", "/users/invite", {"email": email, "role": "developer"})
        pool_user = JourneyUser.of(mesh, email)
        refresh_token = pool_user.sign_in()["RefreshToken"]
        assert pool_user.renew(refresh_token)["IdToken"]
        invoke_command(mesh.target, "disable_user", email=email)
        wait_for(lambda: not pool_user.is_enabled, description="the pool has disabled the user", timeout_s=10)
        refused = pool_user.pool.cognito.exceptions.NotAuthorizedException
        with pytest.raises(refused, match="disabled"):
            pool_user.sign_in()
        with pytest.raises(refused, match="disabled"):
            pool_user.renew(refresh_token)


class TestAuditLog:
    def test_shows_the_changes_of_every_service(self, tenant: JourneyTenant) -> None:
        def changed_types() -> set[str]:
            entries = tenant.call("GET", "/audit?limit=100").body["audit"]
            return {fact["type"].split(".")[0] for entry in entries for fact in entry["facts"]}

        expected = {"project", "agent", "tenant", "user"}
        wait_for(lambda: changed_types() >= expected, description="all changes are in the audit", timeout_s=20)


class TestExport:
    def test_has_the_data_of_every_service_and_no_secret(
        self, mesh: Mesh, tenant: JourneyTenant, tmp_path: Path
    ) -> None:
        secret = "sk-nobody-may-see-this"
        agent_id = tenant.agent()
        run = tenant.run(agent_id, "Only in this run").body["run"]["run_id"]
        assert tenant.call("PUT", "/provider-keys/openai", {"api_key": secret}).status in {200, 201}
        wait_for(lambda: tenant.call("GET", f"/runs/{run}").body["run"]["ended_at"], description="the run has ended")
        response = tenant.call_as_operator("POST", "/export")
        assert response.status == 202
        requested = f"/v1/admin/tenants/{tenant.tenant_id}/export"
        path = urljoin(requested, response.headers["Location"]).removeprefix(f"/v1/admin/tenants/{tenant.tenant_id}")

        def complete() -> dict[str, Any] | None:
            export: dict[str, Any] = tenant.call_as_operator("GET", path).body["export"]
            return export if export["status"] == "complete" else None

        export = wait_for(complete, description="every service has written its part", timeout_s=120)
        download(export["files"], export["manifest_url"], into=tmp_path)
        text = {folder.name: lines_below(folder) for folder in tmp_path.iterdir() if folder.is_dir()}
        assert {*text} == {"tenants", "agents", "runs", "metering", "billing"}
        assert tenant.admin in text["tenants"]
        assert agent_id in text["agents"]
        assert "Only in this run" in text["runs"]
        assert secret not in "".join(text.values())
        assert mesh.call("POST", f"/v1/admin/tenants/{tenant.tenant_id}/export", user=tenant.admin).status == 403


def lines_below(folder: Path) -> str:
    """Return the text of all files of a service."""
    return "".join(gzip.decompress(file.read_bytes()).decode() for file in sorted(folder.iterdir()))


class TestDeletion:
    def test_completes_while_fifty_runs_are_in_progress(self, mesh: Mesh, tenant: JourneyTenant) -> None:
        agent_id = tenant.agent()
        started = [tenant.run(agent_id, "[[tokens 4000]] [[delay 200]]").status for _ in range(RUN_COUNT)]
        assert started == [202] * RUN_COUNT
        assert tenant.objects() > 0
        assert tenant.call_as_operator("DELETE").status == 204
        assert tenant.call_as_operator("DELETE").status == 404
        wait_for(lambda: self.is_deleted(mesh, tenant), description="every service has removed its data", timeout_s=300)
        wait_for(lambda: not self.remaining_rows(tenant), description="nothing is left in the tables", timeout_s=30)
        assert (tenant.objects(), tenant.users()) == (0, [])
        assert tenant.call_as_operator("GET").status == 404
        same_tenant = {"tenant_id": tenant.tenant_id, "name": "Again", "plan": "free"}
        assert mesh.call("POST", "/v1/admin/tenants", same_tenant, user=PLATFORM_ADMIN).status == 409

    def remaining_rows(self, tenant: JourneyTenant) -> set[tuple[str, str]]:
        """Return the rows that should have been removed."""
        return {row for row in tenant.rows() if row not in RETAINED_ROWS and not row[0].startswith(BILLING_PREFIXES)}

    def is_deleted(self, mesh: Mesh, tenant: JourneyTenant) -> bool:
        """Return whether the certificate is complete."""
        # The schedule runs once a minute. A direct invocation saves the wait.
        mesh.clients.functions.invoke(FunctionName="ainexus-local-runs-reaper", Payload="{}")
        response = mesh.clients.functions.invoke(
            FunctionName="ainexus-local-tenants-commands",
            Payload=f'{{"command": "certificate", "tenant_id": "{tenant.tenant_id}"}}',
        )
        return b'"complete": true' in response["Payload"].read()
