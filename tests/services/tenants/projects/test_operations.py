"""Operations on projects, within the limit of the plan."""

from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from services.tenants.errors import ProjectLimitReached, ProjectNotFound
from services.tenants.projects import operations as projects
from services.tenants.projects.operations import ProjectChange
from services.tenants.projects.table import ProjectTable
from services.tenants.tenants import operations as tenants
from services.tenants.tenants.table.tenants import TenantRecord
from shared.errors import PreconditionFailed
from shared.plans import Plan
from shared.storage.idempotency import AlreadyDone, IdempotencyKey
from shared.storage.store import Store
from tests.services.tenants.acme import NOW, change, counted_projects, create, delete, outbox_events, project_names
from tests.services.tenants.interleaved import interleaved

ONCE = IdempotencyKey("acme", "user:1 POST", "key", "hash", NOW)


class TestCreateProject:
    def test_is_counted_and_published(self, store: Store) -> None:
        create(store, "1")
        assert counted_projects(store) == 1
        assert [event["id"] for event in outbox_events(store)] == ["acme:created", "prj_1:created"]

    def test_refuses_exactly_at_the_limit(self, store: Store) -> None:
        create(store, "1")
        create(store, "2")
        with pytest.raises(ProjectLimitReached):
            create(store, "3")
        assert (counted_projects(store), project_names(store)) == (2, ["2", "1"])
        assert "prj_3:created" not in [event["id"] for event in outbox_events(store)]

    def test_one_of_two_concurrent_requests_gets_the_last_place(self, store: Store) -> None:
        create(store, "1")
        with pytest.raises(ProjectLimitReached):
            create(interleaved(store, lambda: create(store, "2")), "3")
        assert (counted_projects(store), project_names(store)) == (2, ["2", "1"])

    def test_creates_both_of_two_below_the_limit(self, store: Store) -> None:
        create(interleaved(store, lambda: create(store, "2")), "1")
        assert (counted_projects(store), project_names(store)) == (2, ["2", "1"])

    def test_an_unlimited_plan_has_no_limit(self, store: Store) -> None:
        tenants.create_tenant(store, "big", name="Big", plan=Plan.ENTERPRISE, now=NOW)
        for number in range(4):
            projects.create_project(store, "big", project_id=f"prj_{number}", name="x", description=None, now=NOW)
        assert TenantRecord(store, "big").get().usage.projects == 4

    def test_repeated_request_is_replayed_and_not_counted(self, store: Store) -> None:
        create(store, "1", idempotency_key=ONCE)
        with pytest.raises(AlreadyDone) as done:
            create(store, "2", idempotency_key=ONCE)
        assert done.value.resource_id == "prj_1"
        assert counted_projects(store) == 1

    def test_repeated_request_at_the_limit_is_replayed(self, store: Store) -> None:
        create(store, "1")
        create(store, "2", idempotency_key=ONCE)
        with pytest.raises(AlreadyDone):
            create(store, "3", idempotency_key=ONCE)

    def test_requires_an_existing_tenant(self, store: Store) -> None:
        with pytest.raises(ProjectLimitReached):
            projects.create_project(store, "none", project_id="prj_1", name="x", description=None, now=NOW)
        assert outbox_events(store, "none") == []


class TestChangeProject:
    @pytest.mark.parametrize(
        ("what", "name", "description"),
        [
            (ProjectChange(), "1", "It"),
            (ProjectChange(name="New"), "New", "It"),
            (ProjectChange(description="Other"), "1", "Other"),
            (ProjectChange(description=""), "1", ""),
            (ProjectChange(clears_description=True), "1", None),
        ],
    )
    def test_merges(self, store: Store, what: ProjectChange, name: str, description: str | None) -> None:
        create(store, "1")
        changed = change(store, "1", what)
        assert (changed.name, changed.description, changed.seq) == (name, description, 2)
        assert ProjectTable(store, "acme").get("prj_1") == changed

    def test_accepts_a_current_if_match(self, store: Store) -> None:
        create(store, "1")
        assert change(store, "1", ProjectChange(name="New"), if_match='"1"').seq == 2

    def test_outdated_if_match_changes_nothing(self, store: Store) -> None:
        create(store, "1")
        change(store, "1", ProjectChange(name="New"))
        with pytest.raises(PreconditionFailed):
            change(store, "1", ProjectChange(name="Newer"), if_match='"1"')
        assert project_names(store) == ["New"]

    def test_one_of_two_concurrent_requests_succeeds(self, store: Store) -> None:
        create(store, "1")
        other = interleaved(store, lambda: change(store, "1", ProjectChange(name="First")))
        with pytest.raises(PreconditionFailed):
            change(other, "1", ProjectChange(name="Second"))
        assert project_names(store) == ["First"]

    def test_concurrently_deleted_project_is_not_restored(self, store: Store) -> None:
        create(store, "1")
        with pytest.raises(ProjectNotFound):
            change(interleaved(store, lambda: delete(store, "1")), "1", ProjectChange(name="New"))
        assert project_names(store) == []


class TestDeleteProject:
    def test_decrements_the_count(self, store: Store) -> None:
        create(store, "1")
        create(store, "2")
        delete(store, "1")
        create(store, "3")
        assert (counted_projects(store), project_names(store)) == (2, ["3", "2"])

    def test_publishes_an_event(self, store: Store) -> None:
        create(store, "1")
        delete(store, "1")
        [deleted] = [event for event in outbox_events(store) if event["type"] == "project.deleted.v1"]
        assert (deleted["id"], deleted["seq"]) == ("prj_1:deleted", 2)

    def test_repeated_deletion_is_not_found_and_not_counted(self, store: Store) -> None:
        create(store, "1")
        delete(store, "1")
        with pytest.raises(ProjectNotFound):
            delete(store, "1")
        assert counted_projects(store) == 0

    def test_concurrent_deletions_are_counted_once(self, store: Store) -> None:
        create(store, "1")
        create(store, "2")
        with pytest.raises(ProjectNotFound):
            delete(interleaved(store, lambda: delete(store, "1")), "1")
        assert counted_projects(store) == 1

    def test_keeps_a_project_with_an_outdated_if_match(self, store: Store) -> None:
        create(store, "1")
        change(store, "1", ProjectChange(name="New"))
        with pytest.raises(PreconditionFailed):
            delete(store, "1", if_match='"1"')
        assert counted_projects(store) == 1

    def test_concurrently_changed_project_is_not_deleted(self, store: Store) -> None:
        create(store, "1")
        other = interleaved(store, lambda: change(store, "1", ProjectChange(name="New")))
        with pytest.raises(PreconditionFailed):
            delete(other, "1")
        assert counted_projects(store) == 1


class Projects(RuleBasedStateMachine):
    """Creations and deletions in any order. The count always equals the number of projects, within the limit."""

    store: Store
    number = 0

    @initialize()
    def begin(self) -> None:
        """Delete all projects."""
        for name in project_names(self.store):
            delete(self.store, name)

    @rule()
    def create_one(self) -> None:
        """Create a project, which is refused at the limit."""
        before = project_names(self.store)
        Projects.number += 1
        try:
            create(self.store, str(Projects.number))
            assert len(before) < 2
        except ProjectLimitReached:
            assert len(before) == 2
        self._check()

    @rule()
    def delete_one(self) -> None:
        """Delete the newest project."""
        for name in project_names(self.store)[:1]:
            delete(self.store, name)
        self._check()

    def _check(self) -> None:
        assert counted_projects(self.store) == len(project_names(self.store)) <= 2


def test_count_always_equals_the_number_of_projects(store: Store) -> None:
    class Here(Projects):
        pass

    Here.store = store
    checks: Any = list(HealthCheck)
    run_state_machine_as_test(
        Here, settings=settings(max_examples=10, stateful_step_count=10, deadline=None, suppress_health_check=checks)
    )
