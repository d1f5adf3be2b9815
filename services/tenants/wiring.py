"""The real things, made once per container."""

import os
from functools import cache

from services.tenants.gateways.cognito import CognitoIdentity
from services.tenants.gateways.identity import Identity
from services.tenants.table import SLICE
from services.tenants.table.tenants import get_tenant
from shared.declaration import exports_of
from shared.export.exporter import Depot
from shared.removal import Bucket
from shared.storage.clients import own_client, tenant_client
from shared.storage.objects import Artifacts
from shared.storage.store import Store
from shared.tenancy.context import TenantAccess


@cache
def tenant_store() -> Store:
    """The slice of the tenant that is acted for."""
    return Store(tenant_client("dynamodb"), table=os.environ[SLICE.table.variable], owned=SLICE)


@cache
def slice_store() -> Store:
    """The slice of every tenant, for operators' commands."""
    return Store(own_client("dynamodb"), table=os.environ[SLICE.table.variable], owned=SLICE)


@cache
def identity() -> Identity:
    """The user pool."""
    return CognitoIdentity(own_client("cognito-idp"), user_pool_id=os.environ["USER_POOL_ID"])


@cache
def artifacts() -> Artifacts:
    """The exports of every tenant."""
    return Artifacts(own_client("s3"), bucket=os.environ["ARTIFACTS_BUCKET_NAME"])


def buckets() -> tuple[Bucket, ...]:
    """Where the objects of a deleted tenant are removed from."""
    return (Bucket(own_client("s3"), os.environ["ARTIFACTS_BUCKET_NAME"], exports_of("tenants")),)


def depot() -> Depot:
    """Where the exports of the tenant that is acted for go."""
    return Depot(tenant_client("s3"), os.environ["ARTIFACTS_BUCKET_NAME"])


def access(tenant_id: str) -> TenantAccess:
    """This service owns the tenants, so it needs no copy."""
    return get_tenant(tenant_store(), tenant_id).access
