"""What every service works with: its slice and its objects, as one tenant's session sees them or as a whole."""

import os
from typing import Any

from shared.copies.tenant_access import TenantAccessCopies
from shared.declaration import Slice, exports_of
from shared.storage.clients import own_client, tenant_client
from shared.storage.depot import Depot
from shared.storage.objects import Artifacts
from shared.storage.store import Store
from shared.tenancy.context import TenantAccess


class SliceWiring:
    """The real things of one slice. The clients are made once per container, when they are first needed.

    Args:
        owned: the slice.
        service: whose it is.
        folder: of the service in the artifacts bucket, below each tenant's.
    """

    def __init__(self, owned: Slice, *, service: str, folder: str = "") -> None:
        self._owned = owned
        self._service = service
        self._folders = (folder,) if folder else ()

    def tenant_store(self) -> Store:
        """The slice of the tenant that is acted for."""
        return self._store(tenant_client("dynamodb"))

    def slice_store(self) -> Store:
        """The slice of every tenant: for events, schedules and operators' commands."""
        return self._store(own_client("dynamodb"))

    def tenant_objects(self) -> Artifacts:
        """The objects of the tenant that is acted for."""
        return _artifacts(tenant_client("s3"))

    def slice_objects(self) -> Artifacts:
        """The objects of every tenant."""
        return _artifacts(own_client("s3"))

    def access(self, tenant_id: str) -> TenantAccess:
        """What the service knows of the tenant that is acted for."""
        return TenantAccessCopies(self.tenant_store()).read(tenant_id)

    def copies(self) -> TenantAccessCopies:
        """What it knows of every tenant."""
        return TenantAccessCopies(self.slice_store())

    def is_deleted(self, tenant_id: str) -> bool:
        """Whether the tenant is gone."""
        return self.copies().is_deleted(tenant_id)

    def empty_folder(self, tenant_id: str) -> int:
        """Delete what the service has of a deleted tenant in the bucket; says how many objects."""
        objects = self.slice_objects()
        folders = (*self._folders, exports_of(self._service))
        return sum(objects.delete_below(tenant_id, folder) for folder in folders)

    def depot(self) -> Depot:
        """The objects of the tenant that is acted for, to be exported, and where they are exported to."""
        return Depot(tenant_client("s3"), os.environ["ARTIFACTS_BUCKET_NAME"], folders=self._folders)

    def _store(self, client: Any) -> Store:  # noqa: ANN401 — botocore makes clients from data
        return Store(client, table=os.environ[self._owned.table.variable], owned=self._owned)


def _artifacts(client: Any) -> Artifacts:  # noqa: ANN401 — as above
    return Artifacts(client, bucket=os.environ["ARTIFACTS_BUCKET_NAME"])
