"""The rules of projects."""

from datetime import UTC, datetime, timedelta

from services.tenants.projects import domain

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)


class TestProject:
    def test_publishes_creation_and_deletion(self) -> None:
        project, created = domain.create_project("acme", project_id="prj_1", name="One", description=None, now=NOW)
        changed = domain.change_project(project, name="Two", description="It", now=LATER)
        deleted = domain.delete_project("acme", changed, now=LATER)
        assert [(event.id, event.subject, event.seq) for event in (created, deleted)] == [
            ("prj_1:created", "prj_1", 1),
            ("prj_1:deleted", "prj_1", 3),
        ]

    def test_change_increments_seq(self) -> None:
        project, _ = domain.create_project("acme", project_id="prj_1", name="One", description=None, now=NOW)
        changed = domain.change_project(project, name="Two", description="It", now=LATER)
        assert (changed.name, changed.description, changed.seq) == ("Two", "It", 2)
        assert (changed.created_at, changed.updated_at) == (NOW, LATER)
        assert project.seq == 1
