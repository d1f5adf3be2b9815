"""Helpers that act on the tenant `acme`."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from services.tenants.partitions import SLICE
from services.tenants.projects import operations as projects
from services.tenants.projects.domain import Project
from services.tenants.projects.operations import ProjectChange
from services.tenants.projects.table import ProjectTable
from services.tenants.removal.operations import finish_deletion
from services.tenants.tenants.operations import request_deletion
from services.tenants.tenants.table.tenants import TenantRecord
from shared.storage.idempotency import IdempotencyKey
from shared.storage.store import Store
from shared.storage.transaction import Expression
from tests.services.tenants.received import usage_synced

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)


def create(store: Store, name: str, *, idempotency_key: IdempotencyKey | None = None) -> Project:
    """Create a project with this name and id."""
    return projects.create_project(
        store, "acme", project_id=f"prj_{name}", name=name, description="It", now=NOW, idempotency_key=idempotency_key
    )


def change(store: Store, name: str, what: ProjectChange, *, if_match: str | None = None) -> Project:
    """Change the project."""
    return projects.change_project(store, "acme", f"prj_{name}", what, now=LATER, if_match=if_match)


def delete(store: Store, name: str, *, if_match: str | None = None) -> None:
    """Delete the project."""
    projects.delete_project(store, "acme", f"prj_{name}", now=LATER, if_match=if_match)


def project_names(store: Store) -> list[str]:
    """Return the names of all projects, newest first."""
    return [project.name for project in ProjectTable(store, "acme").page(limit=100, after=None)[0]]


def counted_projects(store: Store) -> int:
    """Return the count of projects in the tenant's item."""
    return TenantRecord(store, "acme").get().usage.projects


def outbox_events(store: Store, tenant_id: str = "acme") -> list[dict[str, Any]]:
    """Return the events in the outbox of the tenant."""
    items = store.query_all(Expression("#PK = :pk", {"pk": SLICE.key(tenant_id, "OUTBOX")}))
    return [json.loads(str(item["event"])) for item in items]


def delete_acme(store: Store) -> None:
    """Delete the tenant."""
    request_deletion(store, "acme", by="user:1", now=LATER)
    finish_deletion(store, usage_synced("acme"))
