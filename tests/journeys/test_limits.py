"""Limits are enforced exactly, at any concurrency, even if the database cancels overlapping transactions."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from services.tenants.errors import ProjectLimitReached
from services.tenants.partitions import SLICE
from services.tenants.projects import operations as projects
from services.tenants.tenants import operations as tenants
from services.tenants.tenants.table.tenants import TenantRecord
from shared.ids import new_id
from shared.plans import LIMITS, Plan
from shared.storage.store import Store
from tests.conflicts import ConflictingDynamoDB
from tests.journeys.steps import Steps
from tests.mesh import Mesh

pytestmark = pytest.mark.mesh

NOW = datetime(2026, 11, 22, tzinfo=UTC)


class TestProjectLimit:
    def test_one_of_two_concurrent_creations_succeeds(self, mesh: Mesh, steps: Steps) -> None:
        mesh.token()
        existing = mesh.call("GET", "/v1/tenants/demo-org").body["tenant"]["current_usage"]["projects"]
        for number in range(LIMITS[Plan.PRO].max_projects - existing - 1):
            assert steps.create_project(f"P{number}").status == 201
        with ThreadPoolExecutor(2) as pool:
            responses = list(pool.map(steps.create_project, ("A", "B")))
        assert sorted(response.status for response in responses) == [201, 409]
        [refused] = [response for response in responses if response.status == 409]
        assert refused.body["error"] == "LimitReached"
        self._remove_all(steps)

    def test_holds_for_concurrent_creations_despite_cancelled_transactions(self, mesh: Mesh) -> None:
        client = ConflictingDynamoDB(mesh.clients.dynamodb)
        store = Store(client, table="ainexus-local-tenants", owned=SLICE)
        tenant_id = f"limited-{new_id('t', datetime.now(UTC))[-10:].lower()}"
        tenants.create_tenant(store, tenant_id, name="Limited", plan=Plan.FREE, now=NOW)

        def create(number: int) -> bool:
            try:
                projects.create_project(
                    store,
                    tenant_id,
                    project_id=new_id("prj", NOW),
                    name=f"P{number}",
                    description=None,
                    now=NOW,
                )
            except ProjectLimitReached:
                return False
            return True

        with ThreadPoolExecutor(64) as pool:
            created = list(pool.map(create, range(64)))
        assert sum(created) == LIMITS[Plan.FREE].max_projects
        assert client.cancelled > 0
        assert TenantRecord(store, tenant_id).get().usage.projects == LIMITS[Plan.FREE].max_projects

    def _remove_all(self, steps: Steps) -> None:
        while projects := steps.call("GET", "/projects?limit=100").body["projects"]:
            for project in projects:
                assert steps.call("DELETE", f"/projects/{project['project_id']}").status == 204


class TestIdempotencyKey:
    def test_concurrent_identical_requests_create_one_project(self, mesh: Mesh, steps: Steps) -> None:
        mesh.token()
        headers = {"Idempotency-Key": new_id("key", datetime.now(UTC))}
        with ThreadPoolExecutor(8) as pool:
            pending = [pool.submit(steps.create_project, "Once", headers=headers) for _ in range(8)]
            responses = [one.result() for one in pending]
        assert {response.status for response in responses} == {201}
        [project_id] = {response.body["project"]["project_id"] for response in responses}
        assert sum("Idempotent-Replayed" in response.headers for response in responses) == 7
        assert steps.call("DELETE", f"/projects/{project_id}").status == 204
