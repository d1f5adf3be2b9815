"""Projects: folders of agents."""

from dataclasses import dataclass, replace
from datetime import datetime

from shared.events.envelope import Event, new_event
from shared.events.tenants import ProjectCreated, ProjectDeleted


@dataclass(frozen=True, slots=True)
class Project:
    """A folder of agents in a tenant."""

    project_id: str
    name: str
    description: str | None
    seq: int
    created_at: datetime
    updated_at: datetime


def create_project(
    tenant_id: str, *, project_id: str, name: str, description: str | None, now: datetime
) -> tuple[Project, Event[ProjectCreated]]:
    """Return a new, empty project and its event."""
    project = Project(project_id, name, description, seq=1, created_at=now, updated_at=now)
    created = new_event(
        ProjectCreated(project_id=project_id),
        event_id=f"{project_id}:created",
        tenant_id=tenant_id,
        subject=project_id,
        seq=project.seq,
        at=now,
    )
    return project, created


def change_project(project: Project, *, name: str, description: str | None, now: datetime) -> Project:
    """Return the next version of a project, with this name and description."""
    return replace(project, name=name, description=description, seq=project.seq + 1, updated_at=now)


def delete_project(tenant_id: str, project: Project, *, now: datetime) -> Event[ProjectDeleted]:
    """Return the event of a project's deletion."""
    return new_event(
        ProjectDeleted(project_id=project.project_id),
        event_id=f"{project.project_id}:deleted",
        tenant_id=tenant_id,
        subject=project.project_id,
        seq=project.seq + 1,
        at=now,
    )
