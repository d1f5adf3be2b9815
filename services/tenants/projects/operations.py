"""Operations on projects."""

from dataclasses import dataclass
from datetime import datetime

from services.tenants.projects import domain
from services.tenants.projects.domain import Project
from services.tenants.projects.table import ProjectTable
from shared.preconditions import check_if_match
from shared.storage.idempotency import IdempotencyKey
from shared.storage.store import Store


@dataclass(frozen=True, slots=True)
class ProjectChange:
    """A merge patch of a project, in which None leaves a field unchanged."""

    name: str | None = None
    description: str | None = None
    clears_description: bool = False


def create_project(
    store: Store,
    tenant_id: str,
    *,
    project_id: str,
    name: str,
    description: str | None,
    now: datetime,
    idempotency_key: IdempotencyKey | None = None,
) -> Project:
    """Create a project.

    Raises:
        ProjectLimitReached: the tenant has the maximum number of projects.
    """
    project, created = domain.create_project(
        tenant_id, project_id=project_id, name=name, description=description, now=now
    )
    ProjectTable(store, tenant_id).create(project, created, idempotency_key=idempotency_key)
    return project


def change_project(
    store: Store, tenant_id: str, project_id: str, change: ProjectChange, *, now: datetime, if_match: str | None
) -> Project:
    """Merge a change into a project."""
    projects = ProjectTable(store, tenant_id)
    project = projects.get(project_id)
    check_if_match(if_match, project.seq)
    description = project.description if change.description is None else change.description
    if change.clears_description:
        description = None
    changed = domain.change_project(project, name=change.name or project.name, description=description, now=now)
    projects.save(changed)
    return changed


def delete_project(store: Store, tenant_id: str, project_id: str, *, now: datetime, if_match: str | None) -> None:
    """Delete a project. Its agents remain."""
    projects = ProjectTable(store, tenant_id)
    project = projects.get(project_id)
    check_if_match(if_match, project.seq)
    projects.remove(project, domain.delete_project(tenant_id, project, now=now))
