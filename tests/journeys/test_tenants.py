"""The life of a tenant on the running mesh: made, suspended, and gone without a trace while it runs fifty runs."""

import gzip
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cli.admin import invoke_command
from cli.export import download
from cli.password import new_password
from shared.declaration import Table
from shared.ids import new_id
from tests.journeys.person import Person
from tests.journeys.steps import wait_for
from tests.mesh import PLATFORM_ADMIN, Mesh

pytestmark = pytest.mark.mesh

RUNS = 50
STAYS = {
    ("", "CONFIG"): "the id, which is never given again",
    ("#TENANTS", "CERTIFICATE"): "what was removed",
    ("#AGENTS", "COPY#TENANT"): "a tombstone",
    ("#RUNS", "COPY#TENANT"): "a tombstone",
    ("#USAGE", "COPY#TENANT"): "a tombstone",
    ("#BILLING", "COPY#TENANT"): "a tombstone",
    ("#BILLING", "CUSTOMER"): "the books",
    ("#BILLING", "KNOWN"): "the books: by it the customers of all are found, to be reconciled",
    ("#BILLING", "REMAINDER"): "the books",
}
BOOKS = ("#BILLING#INVOICES", "#BILLING#SYNC#", "#BILLING#USAGE#")
"""What is kept of a tenant's payments, under its id alone."""


class Tenant:
    """A new tenant with one admin."""

    def __init__(self, mesh: Mesh) -> None:
        self.mesh = mesh
        self.tenant_id = new_id("t", datetime.now(UTC)).lower().replace("_", "-")
        self.admin = f"admin@{self.tenant_id}.example"
        body = {"tenant_id": self.tenant_id, "name": "Passing", "plan": "pro"}
        answer = mesh.call("POST", "/v1/admin/tenants", body, user=PLATFORM_ADMIN)
        assert answer.status == 201, answer
        given = {"email": self.admin, "role": "tenant_admin", "temporary_password": new_password()}
        invoke_command(mesh.target, "create_user", tenant_id=self.tenant_id, **given)

    def call(self, method: str, path: str, body: dict[str, Any] | None = None, **options: Any) -> Any:  # noqa: ANN401 — those of Mesh.call
        """Ask below the tenant's path, as its admin."""
        return self.mesh.call(method, f"/v1/tenants/{self.tenant_id}{path}", body, user=self.admin, **options)

    def operate(self, method: str, path: str = "", body: dict[str, Any] | None = None) -> Any:  # noqa: ANN401 — as above
        """Ask for the tenant as an operator."""
        return self.mesh.call(method, f"/v1/admin/tenants/{self.tenant_id}{path}", body, user=PLATFORM_ADMIN)

    def agent(self) -> str:
        """A new agent in a new project."""
        project = self.call("POST", "/projects", {"name": "P"}).body["project"]["project_id"]
        config = {"model": "gpt-4", "system_prompt": "Help."}
        body = {"name": "A", "type": "conversational", "project_id": project, "config": config}
        answer = self.call("POST", "/agents", body)
        assert answer.status == 201, answer
        return answer.body["agent"]["agent_id"]

    def run(self, agent_id: str, message: str = "Hi") -> Any:  # noqa: ANN401 — as above
        """Ask for a run in the background."""
        return self.call("POST", "/runs", {"agent_id": agent_id, "inputs": {"message": message}})

    def rows(self) -> Iterator[tuple[str, str]]:
        """All that any table has of it, by what follows the tenant in the key."""
        own = f"TENANT#{self.tenant_id}"
        for table in Table:
            pages = self.mesh.clients.dynamodb.get_paginator("scan").paginate(TableName=f"ainexus-local-{table.value}")
            for item in (item for page in pages for item in page["Items"]):
                pk, sk = (str(item[name].get("S")) for name in ("PK", "SK"))
                if pk == own or pk.startswith(f"{own}#"):
                    yield pk.removeprefix(own), sk

    def objects(self) -> int:
        """How many objects the bucket has of it."""
        bucket = self.mesh.outputs["ArtifactsBucketName"]
        found = self.mesh.clients.s3.list_objects_v2(Bucket=bucket, Prefix=f"tenants/{self.tenant_id}/")
        return len(found.get("Contents", []))

    def users(self) -> list[str]:
        """Who of it is in the pool."""
        found = self.mesh.clients.cognito.list_users(UserPoolId=self.mesh.outputs["UserPoolId"])["Users"]
        attributes = [{entry["Name"]: entry.get("Value") for entry in user.get("Attributes", [])} for user in found]
        return [str(said["email"]) for said in attributes if said.get("custom:tenant_id") == self.tenant_id]


@pytest.fixture(name="tenant", scope="module")
def make_tenant(mesh: Mesh) -> Tenant:
    return Tenant(mesh)


class TestSuspension:
    def test_stops_new_runs_within_seconds_while_reads_work(self, tenant: Tenant) -> None:
        agent_id = tenant.agent()
        assert tenant.run(agent_id).status == 202
        assert tenant.operate("POST", "/suspend", {"reason": "A test"}).status == 200
        wait_for(lambda: tenant.run(agent_id).status == 403, what="no run begins", patience_s=10)
        assert [tenant.call("GET", path).status for path in ("", "/agents", "/runs", "/usage/daily")] == [200] * 4
        assert tenant.operate("POST", "/reactivate").status == 200
        wait_for(lambda: tenant.run(agent_id).status == 202, what="runs begin again", patience_s=10)


class TestUsers:
    def test_another_role_is_in_the_next_token_and_one_who_is_removed_cannot_renew(
        self, mesh: Mesh, tenant: Tenant
    ) -> None:
        email = f"dev@{tenant.tenant_id}.example"
        user = tenant.call("POST", "/users/invite", {"email": email, "role": "developer"}).body["user"]
        person = Person.of(mesh, email)
        refresh_token = person.sign_in()["RefreshToken"]
        assert tenant.call("PUT", f"/users/{user['user_id']}", {"role": "analyst"}).status == 200
        wait_for(lambda: person.attributes["custom:role"] == "analyst", what="the pool has the role", patience_s=10)
        assert tenant.call("DELETE", f"/users/{user['user_id']}").status == 204
        wait_for(lambda: email not in tenant.users(), what="the pool has let go", patience_s=10)
        with pytest.raises(person.pool.cognito.exceptions.ClientError):
            person.renew(refresh_token)

    def test_one_who_is_disabled_cannot_sign_in_nor_renew(self, mesh: Mesh, tenant: Tenant) -> None:
        email = f"gone@{tenant.tenant_id}.example"
        tenant.call("POST", "/users/invite", {"email": email, "role": "developer"})
        person = Person.of(mesh, email)
        refresh_token = person.sign_in()["RefreshToken"]
        assert person.renew(refresh_token)["IdToken"]
        invoke_command(mesh.target, "disable_user", email=email)
        wait_for(lambda: not person.is_enabled, what="the pool knows it", patience_s=10)
        refused = person.pool.cognito.exceptions.NotAuthorizedException
        with pytest.raises(refused, match="disabled"):
            person.sign_in()
        with pytest.raises(refused, match="disabled"):
            person.renew(refresh_token)


class TestAudit:
    def test_shows_the_changes_of_every_service(self, tenant: Tenant) -> None:
        def changed() -> set[str]:
            entries = tenant.call("GET", "/audit?limit=100").body["audit"]
            return {fact["type"].split(".")[0] for entry in entries for fact in entry["facts"]}

        everything = {"project", "agent", "tenant", "user"}
        wait_for(lambda: changed() >= everything, what="all changes are in the audit", patience_s=20)


class TestExport:
    def test_has_what_every_service_has_and_no_secret(self, mesh: Mesh, tenant: Tenant, tmp_path: Path) -> None:
        secret = "sk-nobody-may-see-this"
        agent_id = tenant.agent()
        run = tenant.run(agent_id, "Only in this run").body["run"]["run_id"]
        assert tenant.call("PUT", "/provider-keys/openai", {"api_key": secret}).status in {200, 201}
        wait_for(lambda: tenant.call("GET", f"/runs/{run}").body["run"]["ended_at"], what="the run has ended")
        asked = tenant.operate("POST", "/export")
        assert asked.status == 202
        path = asked.headers["Location"].removeprefix(f"/v1/admin/tenants/{tenant.tenant_id}")

        def complete() -> dict[str, Any] | None:
            export: dict[str, Any] = tenant.operate("GET", path).body["export"]
            return export if export["status"] == "complete" else None

        export = wait_for(complete, what="every service has written its part", patience_s=120)
        download(export["files"], export["manifest_url"], into=tmp_path)
        text = {folder.name: lines_below(folder) for folder in tmp_path.iterdir() if folder.is_dir()}
        assert {*text} == {"tenants", "agents", "runs", "metering", "billing"}
        assert tenant.admin in text["tenants"]
        assert agent_id in text["agents"]
        assert "Only in this run" in text["runs"]
        assert secret not in "".join(text.values())
        assert mesh.call("POST", f"/v1/admin/tenants/{tenant.tenant_id}/export", user=tenant.admin).status == 403


def lines_below(folder: Path) -> str:
    """The text of all files of a service."""
    return "".join(gzip.decompress(file.read_bytes()).decode() for file in sorted(folder.iterdir()))


class TestDeletion:
    def test_ends_clean_while_fifty_runs_are_under_way(self, mesh: Mesh, tenant: Tenant) -> None:
        agent_id = tenant.agent()
        started = [tenant.run(agent_id, "[[tokens 4000]] [[delay 200]]").status for _ in range(RUNS)]
        assert started == [202] * RUNS
        assert tenant.objects() > 0
        assert tenant.operate("DELETE").status == 204
        assert tenant.operate("DELETE").status == 404
        wait_for(lambda: self.is_gone(mesh, tenant), what="every service has removed its data", patience_s=300)
        wait_for(lambda: not self.left(tenant), what="nothing is left in the tables", patience_s=30)
        assert (tenant.objects(), tenant.users()) == (0, [])
        assert tenant.operate("GET").status == 404
        again = {"tenant_id": tenant.tenant_id, "name": "Again", "plan": "free"}
        assert mesh.call("POST", "/v1/admin/tenants", again, user=PLATFORM_ADMIN).status == 409

    def left(self, tenant: Tenant) -> set[tuple[str, str]]:
        """What should not be there."""
        return {row for row in tenant.rows() if row not in STAYS and not row[0].startswith(BOOKS)}

    def is_gone(self, mesh: Mesh, tenant: Tenant) -> bool:
        """Whether the certificate is complete."""
        # The schedule comes once a minute; a test need not wait for it.
        mesh.clients.functions.invoke(FunctionName="ainexus-local-runs-reaper", Payload="{}")
        answer = mesh.clients.functions.invoke(
            FunctionName="ainexus-local-tenants-admin",
            Payload=f'{{"command": "certificate", "tenant_id": "{tenant.tenant_id}"}}',
        )
        return b'"complete": true' in answer["Payload"].read()
