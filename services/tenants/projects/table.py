"""Storage of projects."""

from services.tenants.errors import ProjectChangedMeanwhile, ProjectLimitReached, ProjectNotFound
from services.tenants.partitions import SLICE
from services.tenants.projects.domain import Project
from services.tenants.tenants.table.counts import TenantCounts
from shared.events.envelope import Event
from shared.events.tenants import ProjectCreated, ProjectDeleted
from shared.storage.codec import Codec
from shared.storage.idempotency import IdempotencyKey
from shared.storage.store import Store
from shared.storage.table import TenantTable
from shared.storage.transaction import refuse_with


class ProjectTable(TenantTable[Project]):
    """The projects of one tenant."""

    prefix, id_field = "PROJECT#", "project_id"
    codec = Codec(Project)
    not_found, changed = ProjectNotFound, ProjectChangedMeanwhile

    def __init__(self, store: Store, tenant_id: str) -> None:
        super().__init__(store, tenant_id)
        self._counts = TenantCounts(store, tenant_id)

    def create(
        self, project: Project, created: Event[ProjectCreated], *, idempotency_key: IdempotencyKey | None
    ) -> None:
        """Write a new project and count it toward the tenant's limit, in one transaction.

        Raises:
            ProjectLimitReached: the tenant has the maximum number of projects.
            AlreadyDone: an earlier attempt of this request has succeeded.
        """
        transaction = self.transaction()
        if idempotency_key:
            idempotency_key.remember(transaction, SLICE, resource_id=project.project_id)
        reached = refuse_with(ProjectLimitReached())
        self._counts.increment(transaction, "projects", limit="max_projects", otherwise=reached)
        self.add(transaction, project)
        transaction.emit(created)
        self.store.commit(transaction)

    def save(self, project: Project) -> None:
        """Replace the previous version of a project.

        Raises:
            ProjectChangedMeanwhile: another request changed the project.
            ProjectNotFound: the project was deleted.
        """
        transaction = self.transaction()
        self.replace(transaction, project)
        self.store.commit(transaction)

    def remove(self, project: Project, deleted: Event[ProjectDeleted]) -> None:
        """Delete a project and decrement the tenant's count, in one transaction.

        Raises:
            ProjectChangedMeanwhile: another request changed the project.
            ProjectNotFound: the project was deleted before.
        """
        transaction = self.transaction()
        self.delete(transaction, project)
        self._counts.decrement(transaction, "projects")
        transaction.emit(deleted)
        self.store.commit(transaction)
