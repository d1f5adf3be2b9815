"""The dependencies of every service: its slice and its objects, of one tenant or of all."""

import os
from typing import Any

from shared.aws.clients import own_client, tenant_client
from shared.copies.tenant_access import TenantAccessCopies
from shared.declaration import Slice, exports_of
from shared.storage.artifact_store import ArtifactStore
from shared.storage.objects import Artifacts
from shared.storage.store import Store
from shared.tenancy.context import TenantAccess


class SliceWiring:
    """The dependencies of one slice. Clients are created once per container, on first use.

    Args:
        owned: the slice.
        service: the name of the service.
        folder: the service's folder in the artifacts bucket, within each tenant's prefix.
    """

    def __init__(self, owned: Slice, *, service: str, folder: str = "") -> None:
        self._owned = owned
        self._service = service
        self._folders = (folder,) if folder else ()

    def tenant_store(self) -> Store:
        """Return the slice of the current tenant."""
        return self._store(tenant_client("dynamodb"))

    def slice_store(self) -> Store:
        """Return the slice of every tenant, for events, schedules and operators' commands."""
        return self._store(own_client("dynamodb"))

    def tenant_objects(self) -> Artifacts:
        """Return the objects of the current tenant."""
        return _artifacts(tenant_client("s3"))

    def slice_objects(self) -> Artifacts:
        """Return the objects of every tenant."""
        return _artifacts(own_client("s3"))

    def access(self, tenant_id: str) -> TenantAccess:
        """Return the service's copy of the current tenant's state."""
        return TenantAccessCopies(self.tenant_store()).read(tenant_id)

    def copies(self) -> TenantAccessCopies:
        """Return the service's copies of all tenants' state."""
        return TenantAccessCopies(self.slice_store())

    def is_deleted(self, tenant_id: str) -> bool:
        """Return whether the tenant was deleted."""
        return self.copies().is_deleted(tenant_id)

    def empty_folder(self, tenant_id: str) -> int:
        """Delete the service's objects of a deleted tenant, and return their number."""
        objects = self.slice_objects()
        folders = (*self._folders, exports_of(self._service))
        return sum(objects.delete_below(tenant_id, folder) for folder in folders)

    def artifact_store(self) -> ArtifactStore:
        """Return the folders with the current tenant's documents, for exports."""
        return ArtifactStore(tenant_client("s3"), os.environ["ARTIFACTS_BUCKET_NAME"], folders=self._folders)

    def _store(self, client: Any) -> Store:  # noqa: ANN401 — botocore makes clients from data
        return Store(client, table=os.environ[self._owned.table.variable], owned=self._owned)


def _artifacts(client: Any) -> Artifacts:  # noqa: ANN401 — as above
    return Artifacts(client, bucket=os.environ["ARTIFACTS_BUCKET_NAME"])
