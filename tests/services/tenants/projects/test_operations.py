"""Projects: created within the limit, changed, deleted."""

from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from services.tenants.errors import ProjectLimitReached, ProjectNotFound
from services.tenants.operations import projects, tenants
from services.tenants.operations.projects import ProjectChange
from services.tenants.table.projects import get_project
from services.tenants.table.tenants import get_tenant
from shared.errors import PreconditionFailed
from shared.plans import Plan
from shared.storage.idempotency import AlreadyDone, Once
from shared.storage.store import Store
from tests.services.tenants.acme import NOW, change, counted_projects, create, delete, project_names, said
from tests.services.tenants.interleaved import interleaved

ONCE = Once("acme", "user:1 POST", "key", "hash", NOW)


class TestCreateProject:
    def test_is_counted_and_said(self, store: Store) -> None:
        create(store, "1")
        assert counted_projects(store) == 1
        assert [event["id"] for event in said(store)] == ["acme:created", "prj_1:created"]

    def test_stops_exactly_at_the_limit(self, store: Store) -> None:
        create(store, "1")
        create(store, "2")
        with pytest.raises(ProjectLimitReached):
            create(store, "3")
        assert (counted_projects(store), project_names(store)) == (2, ["2", "1"])
        assert "prj_3:created" not in [event["id"] for event in said(store)]

    def test_of_two_at_the_last_place_one_wins(self, store: Store) -> None:
        create(store, "1")
        with pytest.raises(ProjectLimitReached):
            create(interleaved(store, lambda: create(store, "2")), "3")
        assert (counted_projects(store), project_names(store)) == (2, ["2", "1"])

    def test_both_of_two_at_once_below_the_limit_are_made(self, store: Store) -> None:
        create(interleaved(store, lambda: create(store, "2")), "1")
        assert (counted_projects(store), project_names(store)) == (2, ["2", "1"])

    def test_an_unlimited_plan_has_no_limit(self, store: Store) -> None:
        tenants.create_tenant(store, "big", name="Big", plan=Plan.ENTERPRISE, now=NOW)
        for number in range(4):
            projects.create_project(store, "big", project_id=f"prj_{number}", name="x", description=None, now=NOW)
        assert get_tenant(store, "big").usage.projects == 4

    def test_the_same_request_again_is_answered_and_not_counted(self, store: Store) -> None:
        create(store, "1", once=ONCE)
        with pytest.raises(AlreadyDone) as done:
            create(store, "2", once=ONCE)
        assert done.value.resource_id == "prj_1"
        assert counted_projects(store) == 1

    def test_the_same_request_again_at_the_limit_is_no_refusal(self, store: Store) -> None:
        create(store, "1")
        create(store, "2", once=ONCE)
        with pytest.raises(AlreadyDone):
            create(store, "3", once=ONCE)

    def test_needs_a_tenant(self, store: Store) -> None:
        with pytest.raises(ProjectLimitReached):
            projects.create_project(store, "none", project_id="prj_1", name="x", description=None, now=NOW)
        assert said(store, "none") == []


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
        assert get_project(store, "acme", "prj_1") == changed

    def test_the_version_that_was_read_passes(self, store: Store) -> None:
        create(store, "1")
        assert change(store, "1", ProjectChange(name="New"), if_match='"1"').seq == 2

    def test_a_stale_one_does_not(self, store: Store) -> None:
        create(store, "1")
        change(store, "1", ProjectChange(name="New"))
        with pytest.raises(PreconditionFailed):
            change(store, "1", ProjectChange(name="Newer"), if_match='"1"')
        assert project_names(store) == ["New"]

    def test_of_two_at_once_one_wins(self, store: Store) -> None:
        create(store, "1")
        other = interleaved(store, lambda: change(store, "1", ProjectChange(name="First")))
        with pytest.raises(PreconditionFailed):
            change(other, "1", ProjectChange(name="Second"))
        assert project_names(store) == ["First"]

    def test_one_that_is_deleted_meanwhile_is_not_made_again(self, store: Store) -> None:
        create(store, "1")
        with pytest.raises(ProjectNotFound):
            change(interleaved(store, lambda: delete(store, "1")), "1", ProjectChange(name="New"))
        assert project_names(store) == []


class TestDeleteProject:
    def test_gives_its_place_back(self, store: Store) -> None:
        create(store, "1")
        create(store, "2")
        delete(store, "1")
        create(store, "3")
        assert (counted_projects(store), project_names(store)) == (2, ["3", "2"])

    def test_is_said(self, store: Store) -> None:
        create(store, "1")
        delete(store, "1")
        [deleted] = [event for event in said(store) if event["type"] == "project.deleted.v1"]
        assert (deleted["id"], deleted["seq"]) == ("prj_1:deleted", 2)

    def test_again_it_is_not_found_and_not_counted(self, store: Store) -> None:
        create(store, "1")
        delete(store, "1")
        with pytest.raises(ProjectNotFound):
            delete(store, "1")
        assert counted_projects(store) == 0

    def test_of_two_at_once_one_is_counted(self, store: Store) -> None:
        create(store, "1")
        create(store, "2")
        with pytest.raises(ProjectNotFound):
            delete(interleaved(store, lambda: delete(store, "1")), "1")
        assert counted_projects(store) == 1

    def test_a_stale_version_stays(self, store: Store) -> None:
        create(store, "1")
        change(store, "1", ProjectChange(name="New"))
        with pytest.raises(PreconditionFailed):
            delete(store, "1", if_match='"1"')
        assert counted_projects(store) == 1

    def test_one_that_is_changed_meanwhile_stays(self, store: Store) -> None:
        create(store, "1")
        other = interleaved(store, lambda: change(store, "1", ProjectChange(name="New")))
        with pytest.raises(PreconditionFailed):
            delete(other, "1")
        assert counted_projects(store) == 1


class Projects(RuleBasedStateMachine):
    """Creations and deletions in any order; the count is always that of the projects, and never over the limit."""

    store: Store
    number = 0

    @initialize()
    def begin(self) -> None:
        """Without projects."""
        for name in project_names(self.store):
            delete(self.store, name)

    @rule()
    def create_one(self) -> None:
        """One more, or a refusal."""
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
        """The newest."""
        for name in project_names(self.store)[:1]:
            delete(self.store, name)
        self._check()

    def _check(self) -> None:
        assert counted_projects(self.store) == len(project_names(self.store)) <= 2


def test_the_count_is_always_that_of_the_projects(store: Store) -> None:
    class Here(Projects):
        pass

    Here.store = store
    checks: Any = list(HealthCheck)
    run_state_machine_as_test(
        Here, settings=settings(max_examples=10, stateful_step_count=10, deadline=None, suppress_health_check=checks)
    )
