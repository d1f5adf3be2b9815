"""Projects: created within the plan's limit, changed, deleted."""

from dataclasses import dataclass
from datetime import datetime

from services.tenants.domain import project as domain
from services.tenants.domain.project import Project
from services.tenants.table import projects as table
from shared.http.etag import check_if_match
from shared.storage.idempotency import Once
from shared.storage.store import Store


@dataclass(frozen=True, slots=True)
class ProjectChange:
    """What to change of a project: a merge patch, where absent means as it was."""

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
    once: Once | None = None,
) -> Project:
    """A new project, if the plan allows one more."""
    project, created = domain.create_project(
        tenant_id, project_id=project_id, name=name, description=description, now=now
    )
    table.add_project(store, tenant_id, project, created, once=once)
    return project


def change_project(
    store: Store, tenant_id: str, project_id: str, change: ProjectChange, *, now: datetime, if_match: str | None
) -> Project:
    """Merge a change into a project."""
    project = table.get_project(store, tenant_id, project_id)
    check_if_match(if_match, project.seq)
    description = project.description if change.description is None else change.description
    if change.clears_description:
        description = None
    changed = domain.change_project(project, name=change.name or project.name, description=description, now=now)
    table.save_project(store, tenant_id, changed)
    return changed


def delete_project(store: Store, tenant_id: str, project_id: str, *, now: datetime, if_match: str | None) -> None:
    """Delete a project; its agents stay."""
    project = table.get_project(store, tenant_id, project_id)
    check_if_match(if_match, project.seq)
    table.remove_project(store, tenant_id, project, domain.delete_project(tenant_id, project, now=now))
