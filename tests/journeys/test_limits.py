"""Limits are held exactly, at any concurrency, also where the database cancels what overlaps."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from services.tenants.errors import ProjectLimitReached
from services.tenants.operations import projects, tenants
from services.tenants.table import SLICE
from services.tenants.table.tenants import get_tenant
from shared.ids import new_id
from shared.plans import LIMITS, Plan
from shared.storage.store import Store
from tests.conflicts import ConflictingDynamoDB
from tests.journeys.steps import Steps
from tests.mesh import Mesh

pytestmark = pytest.mark.mesh

NOW = datetime(2026, 11, 22, tzinfo=UTC)


class TestProjects:
    def test_two_creations_at_the_limit_let_one_win(self, mesh: Mesh, steps: Steps) -> None:
        mesh.token()
        there = mesh.call("GET", "/v1/tenants/demo-org").body["tenant"]["current_usage"]["projects"]
        for number in range(LIMITS[Plan.PRO].max_projects - there - 1):
            assert steps.create_project(f"P{number}").status == 201
        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(steps.create_project, ("A", "B")))
        assert sorted(answer.status for answer in answers) == [201, 409]
        [refused] = [answer for answer in answers if answer.status == 409]
        assert refused.body["error"] == "LimitReached"
        self._remove_all(steps)

    def test_sixty_four_at_once_behind_a_database_that_cancels_make_as_many_as_the_plan_allows(
        self, mesh: Mesh
    ) -> None:
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
            made = list(pool.map(create, range(64)))
        assert sum(made) == LIMITS[Plan.FREE].max_projects
        assert client.cancelled > 0
        assert get_tenant(store, tenant_id).usage.projects == LIMITS[Plan.FREE].max_projects

    def _remove_all(self, steps: Steps) -> None:
        while projects := steps.call("GET", "/projects?limit=100").body["projects"]:
            for project in projects:
                assert steps.call("DELETE", f"/projects/{project['project_id']}").status == 204


class TestIdempotency:
    def test_the_same_request_eight_times_at_once_makes_one_project(self, mesh: Mesh, steps: Steps) -> None:
        mesh.token()
        headers = {"Idempotency-Key": new_id("key", datetime.now(UTC))}
        with ThreadPoolExecutor(8) as pool:
            tries = [pool.submit(steps.create_project, "Once", headers=headers) for _ in range(8)]
            answers = [tried.result() for tried in tries]
        assert {answer.status for answer in answers} == {201}
        [project_id] = {answer.body["project"]["project_id"] for answer in answers}
        assert sum("Idempotent-Replayed" in answer.headers for answer in answers) == 7
        assert steps.call("DELETE", f"/projects/{project_id}").status == 204
