"""The real things, made once per container."""

import os
from functools import cache

from services.metering.table import SLICE
from shared.copies.tenant_access import TenantAccessCopies
from shared.declaration import exports_of
from shared.export.exporter import Depot
from shared.removal import Bucket
from shared.storage.clients import own_client, tenant_client
from shared.storage.objects import Archives
from shared.storage.store import Store
from shared.tenancy.context import TenantAccess


@cache
def tenant_store() -> Store:
    """The slice of the tenant that is acted for."""
    return Store(tenant_client("dynamodb"), table=os.environ[SLICE.table.variable], owned=SLICE)


@cache
def slice_store() -> Store:
    """The slice of every tenant, for events."""
    return Store(own_client("dynamodb"), table=os.environ[SLICE.table.variable], owned=SLICE)


@cache
def copies() -> TenantAccessCopies:
    """The copies of tenants, to be written."""
    return TenantAccessCopies(slice_store())


def is_deleted(tenant_id: str) -> bool:
    """Whether the tenant is gone."""
    return copies().is_deleted(tenant_id)


def buckets() -> tuple[Bucket, ...]:
    """Where the objects of a deleted tenant are removed from."""
    client, bucket = own_client("s3"), os.environ["ARTIFACTS_BUCKET_NAME"]
    return tuple(Bucket(client, bucket, folder) for folder in ("usage", exports_of("metering")))


def depot() -> Depot:
    """Where the exports of the tenant that is acted for go, and its documents."""
    return Depot(tenant_client("s3"), os.environ["ARTIFACTS_BUCKET_NAME"], folders=("usage",))


@cache
def archives() -> Archives:
    """The archives of every tenant."""
    return Archives(own_client("s3"), bucket=os.environ["ARTIFACTS_BUCKET_NAME"])


def access(tenant_id: str) -> TenantAccess:
    """What this service knows of the tenant that is acted for."""
    return TenantAccessCopies(tenant_store()).read(tenant_id)
