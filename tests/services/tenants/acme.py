"""What the tests know of the tenant `acme`."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from services.tenants.domain.project import Project
from services.tenants.operations import deletion, projects
from services.tenants.operations.projects import ProjectChange
from services.tenants.table import SLICE
from services.tenants.table.projects import list_projects
from services.tenants.table.tenants import get_tenant
from shared.storage.idempotency import Once
from shared.storage.store import Store
from shared.storage.transaction import Expression
from tests.services.tenants.heard import usage_synced

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)


def create(store: Store, name: str, *, once: Once | None = None) -> Project:
    """A project of this name and id."""
    return projects.create_project(
        store, "acme", project_id=f"prj_{name}", name=name, description="It", now=NOW, once=once
    )


def change(store: Store, name: str, what: ProjectChange, *, if_match: str | None = None) -> Project:
    """The project, changed."""
    return projects.change_project(store, "acme", f"prj_{name}", what, now=LATER, if_match=if_match)


def delete(store: Store, name: str, *, if_match: str | None = None) -> None:
    """Delete the project."""
    projects.delete_project(store, "acme", f"prj_{name}", now=LATER, if_match=if_match)


def project_names(store: Store) -> list[str]:
    """Of all projects, newest first."""
    return [project.name for project in list_projects(store, "acme", limit=100, after=None)[0]]


def counted_projects(store: Store) -> int:
    """How many the tenant's item says there are."""
    return get_tenant(store, "acme").usage.projects


def said(store: Store, tenant_id: str = "acme") -> list[dict[str, Any]]:
    """The events in the outbox of the tenant."""
    items = store.query_all(Expression("#PK = :pk", {"pk": SLICE.key(tenant_id, "OUTBOX")}))
    return [json.loads(str(item["event"])) for item in items]


def bury(store: Store) -> None:
    """Let the tenant be gone."""
    deletion.request_deletion(store, "acme", by="user:1", now=LATER)
    deletion.finish_deletion(store, usage_synced("acme"))
