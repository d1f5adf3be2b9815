"""The real things, made once per container."""

import os
from functools import cache

from services.agents import table
from services.agents.domain import Addresses
from services.agents.gateways.vault import SecretsVault, Vault
from shared.copies.tenant_access import TenantAccessCopies
from shared.declaration import exports_of
from shared.export.exporter import Depot
from shared.removal import Bucket
from shared.storage.clients import own_client, tenant_client
from shared.storage.objects import Documents
from shared.storage.store import Store
from shared.tenancy.context import TenantAccess


@cache
def tenant_store() -> Store:
    """The slice of the tenant that is acted for."""
    return Store(tenant_client("dynamodb"), table=os.environ[table.SLICE.table.variable], owned=table.SLICE)


@cache
def slice_store() -> Store:
    """The slice of every tenant, for what is heard from other services."""
    return Store(own_client("dynamodb"), table=os.environ[table.SLICE.table.variable], owned=table.SLICE)


@cache
def documents() -> Documents:
    """The configs of the tenant that is acted for."""
    return Documents(tenant_client("s3"), bucket=os.environ["ARTIFACTS_BUCKET_NAME"])


def buckets() -> tuple[Bucket, ...]:
    """Where the objects of agents lie, for their removal."""
    client, bucket = own_client("s3"), os.environ["ARTIFACTS_BUCKET_NAME"]
    return tuple(Bucket(client, bucket, folder) for folder in ("agents", exports_of("agents")))


def depot() -> Depot:
    """Where the exports of the tenant that is acted for go, and its documents."""
    return Depot(tenant_client("s3"), os.environ["ARTIFACTS_BUCKET_NAME"], folders=("agents",))


def is_deleted(tenant_id: str) -> bool:
    """Whether the tenant is gone."""
    return TenantAccessCopies(slice_store()).is_deleted(tenant_id)


@cache
def vault() -> Vault:
    """The keys of the tenant that is acted for."""
    return SecretsVault(tenant_client("secretsmanager"), environment=os.environ["ENVIRONMENT"])


@cache
def every_vault() -> Vault:
    """The keys of every tenant, for their removal."""
    return SecretsVault(own_client("secretsmanager"), environment=os.environ["ENVIRONMENT"])


@cache
def addresses() -> Addresses:
    """Which servers may be named in this environment."""
    return Addresses(allow_private=os.environ["ALLOW_PRIVATE_BASE_URLS"] == "true")


def access(tenant_id: str) -> TenantAccess:
    """The tenant as this service knows it."""
    return TenantAccessCopies(tenant_store()).read(tenant_id)
